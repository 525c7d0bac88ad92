import { execFileSync, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import type { LineProcess } from '../../line-process.ts'
import { startLogProcess } from './log-process.ts'

const MEGABYTE = 1024 * 1024

/** A file system of its own needs a mount namespace; a file size limit needs prlimit to lift it again. */
const canMount = spawnSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /mnt']).status === 0
const canLimit = spawnSync('prlimit', ['--version']).status === 0

/** Appends batches of 100 KB until one is refused; returns how many were acknowledged, and the refusal's code. */
async function fillUp(child: LineProcess, prefix: string): Promise<{ acked: number; code: string }> {
  for (let acked = 0; ; acked++) {
    child.send(`append ${prefix}${acked} 10 10000`)
    const [, , code] = (await child.next(/^(acked|failed)/)).split(' ')
    if (code !== undefined) return { acked, code }
    if (acked > 1000) throw new Error('nothing was refused')
  }
}

async function expectAcked(child: LineProcess, name: string): Promise<void> {
  child.send(`append ${name} 10 10000`)
  expect(await child.next(/^(acked|failed)/)).toBe(`acked ${name}`)
}

async function end(child: LineProcess): Promise<void> {
  child.send('close')
  await child.next(/^closed$/)
}

describe('a full disk', () => {
  it.skipIf(!canMount)(
    'makes appends fail with disk_full, and they resume when there is space (needs `unshare -rm`)',
    async () => {
      const mounted = tempFolder()
      const fill = (name: string): string => `dd if=/dev/zero of="$0/${name}" bs=1M count=4 2>/dev/null`
      const script = `mount -t tmpfs -o size=20m tmpfs "$0" && ${fill('one')} && ${fill('two')} && "$@" && exec "$@"`
      const child = startLogProcess(join(mounted, 'log'), {
        wrap: (command) => ['unshare', '-rm', 'sh', '-c', script, mounted, ...command],
      })
      await child.next(/^ready$/)
      // Only the process and its children see the mount.
      const inside = `/proc/${child.pid}/root${mounted}`
      const first = await fillUp(child, 'a')
      expect(first.code).toBe('disk_full')
      expect(first.acked).toBeGreaterThan(20)
      expect((await fillUp(child, 'b')).code).toBe('disk_full')
      rmSync(join(inside, 'one'))
      await expectAcked(child, 'again')
      const second = await fillUp(child, 'c')
      expect(second.code).toBe('disk_full')
      expect(second.acked).toBeGreaterThan(10)
      child.send('close')
      await child.next(/^closed$/)

      // The script starts a second process: on the disk as full as it is, with all that was acknowledged.
      await child.next(/^ready$/)
      expect((await fillUp(child, 'd')).code).toBe('disk_full')
      rmSync(join(inside, 'two'))
      child.send(`commit ${10 * (first.acked + 1 + second.acked)}`)
      expect(await child.next(/commit/)).toBe('committed')
      await expectAcked(child, 'last')
      await end(child)
    },
  )

  it.skipIf(!canLimit)('is also a file size limit or a quota (needs `prlimit`)', async () => {
    const folder = join(tempFolder(), 'log')
    const child = startLogProcess(folder)
    await child.next(/^ready$/)
    const limit = (value: string): void => {
      execFileSync('prlimit', [`--pid=${child.pid}`, `--fsize=${value}:unlimited`])
    }
    limit(String(3 * MEGABYTE + 1000))
    const first = await fillUp(child, 'a')
    expect(first.code).toBe('disk_full')
    expect(first.acked).toBeGreaterThan(10)
    expect((await fillUp(child, 'b')).code).toBe('disk_full')
    limit('unlimited')
    await expectAcked(child, 'again')
    await end(child)
    const again = startLogProcess(folder)
    await again.next(/^ready$/)
    // Offsets of everything acknowledged are there: a commit beyond the end would be refused.
    again.send(`commit ${10 * (first.acked + 1)}`)
    expect(await again.next(/commit/)).toBe('committed')
    again.send(`commit ${10 * (first.acked + 1) + 1}`)
    expect(await again.next(/commit/)).toMatch(/^failed/)
    await end(again)
  })
})
