import { closeSync, existsSync, fsyncSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import {
  diskSizeOf,
  nearestExisting,
  reserveBytes,
  shownBytes,
  WARN_SHARE,
} from '../../../shared/storage/disk-reserve.ts'
import { findPortOwner } from './port-owner.ts'

export type Health = 'ok' | 'warn' | 'fail'

/** One finding of `doctor`; `fix` says what to do when it is not ok. */
export interface Finding {
  readonly check: string
  readonly health: Health
  readonly detail: string
  readonly fix?: string
}

const OLDEST_NODE = 24
const FSYNC_WRITES = 40
const WRITE_BYTES = 4096
/** An SD card takes 20 to 50 ms; a stalling disk more. */
const FSYNC_LIMITS_MS = { warn: 20, fail: 500 }
const OPEN_FILES = { warn: 4096, fail: 512 }
/** This version cannot have run before it was written. */
const EARLIEST_CLOCK_MS = Date.UTC(2025, 0, 1)
const LATEST_CLOCK_MS = Date.UTC(2100, 0, 1)
const CLOCK_TOLERANCE_MS = 5_000

export function checkNode(version: string): Finding {
  const check = 'Node.js'
  if (Number(version.split('.')[0]) >= OLDEST_NODE) return { check, health: 'ok', detail: version }
  const fix = `Run npm ci again, or install Node ${OLDEST_NODE} or newer.`
  return { check, health: 'fail', detail: `${version} is older than ${OLDEST_NODE}`, fix }
}

/** Writes and syncs a small file some times, as the log does for each batch of acknowledgements. */
export function checkDataFolder(folder: string): Finding {
  const check = 'data folder'
  const absolute = resolve(folder)
  const existing = nearestExisting(absolute)
  const probe = join(existing, `.sluice-doctor-${process.pid}`)
  try {
    const times = timeSyncs(probe)
    const [p50, p99] = [0.5, 0.99].map((share) => times[Math.ceil(times.length * share) - 1] ?? 0) as [number, number]
    const made = existing === absolute ? '' : ', will be created'
    const detail = `${absolute}${made}; fsync p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`
    if (p50 < FSYNC_LIMITS_MS.warn) return { check, health: 'ok', detail }
    const fix =
      'Each acknowledgement waits for the disk: put DATA_DIR on a faster one, or expect few messages per second and device.'
    return { check, health: p50 < FSYNC_LIMITS_MS.fail ? 'warn' : 'fail', detail, fix }
  } catch (error) {
    const fix = 'Make the folder writable for this user, or set DATA_DIR to one that is.'
    return { check, health: 'fail', detail: `${existing} is not writable: ${messageOf(error)}`, fix }
  }
}

function timeSyncs(file: string): number[] {
  const descriptor = openSync(file, 'wx', 0o600)
  try {
    const bytes = Buffer.alloc(WRITE_BYTES, 1)
    const times = Array.from({ length: FSYNC_WRITES }, () => {
      const before = performance.now()
      writeSync(descriptor, bytes)
      fsyncSync(descriptor)
      return performance.now() - before
    })
    return times.sort((a, b) => a - b)
  } finally {
    closeSync(descriptor)
    rmSync(file)
  }
}

/** Of each file system that data are on; `reserve` is DISK_RESERVE. */
export function checkDiskSpace(folder: string, reserve: string | undefined): Finding[] {
  const folders = [folder, join(folder, 'log'), join(folder, 'points')].map((path) => nearestExisting(resolve(path)))
  const byDevice = new Map(folders.toReversed().map((path) => [statSync(path).dev, path]))
  return [...byDevice.values()].toReversed().map((path) => checkOneDisk(path, reserve))
}

function checkOneDisk(path: string, reserve: string | undefined): Finding {
  const check = 'disk space'
  const { size, free } = diskSizeOf(path)
  const kept = reserveBytes(reserve, size)
  const detail = `${shownBytes(free)} of ${shownBytes(size)} free, ${shownBytes(kept)} kept in reserve (${path})`
  const fix = 'Free disk space, or move DATA_DIR to a larger disk: below the reserve nothing is acknowledged.'
  if (free < kept) return { check, health: 'fail', detail, fix }
  return 1 - free / size >= WARN_SHARE ? { check, health: 'warn', detail, fix } : { check, health: 'ok', detail }
}

/** Each connection is an open file. Node raises its own soft limit to the hard one at start. */
export function checkOpenFiles(limitsFile = '/proc/self/limits'): Finding {
  const check = 'open files'
  const limit = existsSync(limitsFile)
    ? /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync(limitsFile, 'utf8'))?.[1]
    : undefined
  if (limit === undefined) return { check, health: 'ok', detail: 'the limit cannot be read on this system' }
  const count = limit === 'unlimited' ? Infinity : Number(limit)
  const detail = `at most ${limit}; each connection takes one`
  const fix = 'Raise the limit for the user that runs Sluice: LimitNOFILE= in systemd, or ulimit -n.'
  if (count < OPEN_FILES.fail) return { check, health: 'fail', detail, fix }
  return count < OPEN_FILES.warn ? { check, health: 'warn', detail, fix } : { check, health: 'ok', detail }
}

/** The clock against what is plausible and against the newest record; `newestMs` is undefined when there is none. */
export function checkClock(nowMs: number, newestMs: number | undefined): Finding {
  const check = 'clock'
  const detail = new Date(nowMs).toISOString()
  const fix = 'Set the clock (timedatectl set-ntp true): readings without a time get that of this machine.'
  if (nowMs < EARLIEST_CLOCK_MS || nowMs > LATEST_CLOCK_MS) {
    return { check, health: 'fail', detail: `${detail} cannot be the current time`, fix }
  }
  if (newestMs !== undefined && newestMs > nowMs + CLOCK_TOLERANCE_MS) {
    const newest = new Date(newestMs).toISOString()
    return { check, health: 'fail', detail: `${detail} is before the newest record (${newest})`, fix }
  }
  return { check, health: 'ok', detail }
}

/** Whether a server could listen; `ours` says that it is Sluice that does already. */
export async function checkPort(
  name: string,
  address: { host: string; port: number },
  ours: boolean,
): Promise<Finding> {
  const check = `port ${address.port}`
  const where = `${address.host}:${address.port} (${name})`
  const problem = await listenProblem(address)
  if (problem === undefined) return { check, health: 'ok', detail: `${where} is free` }
  if (problem === 'EADDRINUSE') {
    const owner = findPortOwner(address.port)
    const who = owner === undefined ? 'another process' : `process ${owner.pid} (${owner.command})`
    if (ours) return { check, health: 'ok', detail: `${where} is in use by Sluice, ${who}` }
    const fix = `Stop it, or set ${name} to another port.`
    return { check, health: 'fail', detail: `${where} is in use by ${who}`, fix }
  }
  const fix =
    problem === 'EACCES'
      ? `Set ${name} to 1024 or higher.`
      : 'Correct BIND_ADDRESS: it must be an address of this host.'
  return { check, health: 'fail', detail: `cannot listen on ${where} (${problem})`, fix }
}

async function listenProblem({ host, port }: { host: string; port: number }): Promise<string | undefined> {
  const server = createServer()
  const { promise, resolve: settle } = Promise.withResolvers<string | undefined>()
  server.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message))
  server.listen({ host, port, exclusive: true }, () => server.close(() => settle(undefined)))
  return promise
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
