import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { tempFolder } from './helpers.ts'

/** A file system of its own needs a mount namespace. */
export const canMount = spawnSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /mnt']).status === 0

/** A small file system that only the processes started with `command` see, until the test is over. */
export interface SmallDisk {
  /** Its folder, as those processes see it, and where it is seen from here. */
  readonly folder: string
  readonly seenAt: string
  /** To be put before the command of a process that shall see it. */
  readonly wrapper: readonly string[]
  /** A file of somebody else: of so many bytes, or of all that is free. Returns its length. */
  fill(name: string, bytes?: number): number
  remove(name: string): void
  free(): number
}

/** Error: that of `unshare`, where {@link canMount} is false. */
export async function smallDisk(megabytes: number): Promise<SmallDisk> {
  const folder = tempFolder()
  // Ends with its standard input, and so with this process, however that ends.
  const script = `mount -t tmpfs -o size=${megabytes}m tmpfs "$0" && echo mounted && exec cat`
  const holder = spawn('unshare', ['-rm', 'sh', '-c', script, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  const pid = String(holder.pid)
  const seenAt = `/proc/${pid}/root${folder}`
  return {
    folder,
    seenAt,
    wrapper: ['nsenter', '-t', pid, '-U', '-m', '--preserve-credentials'],
    fill: (name, bytes = Infinity) => fill(join(seenAt, name), bytes),
    remove: (name) => rmSync(join(seenAt, name)),
    free() {
      const { bavail, bsize } = statfsSync(seenAt)
      return bavail * bsize
    },
  }
}

const PART = Buffer.alloc(64 * 1024, 1)

function fill(file: string, bytes: number): number {
  const descriptor = openSync(file, 'w')
  let at = 0
  try {
    while (at < bytes) at += writeSync(descriptor, PART, 0, Math.min(PART.length, bytes - at))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  } finally {
    closeSync(descriptor)
  }
  return at
}
