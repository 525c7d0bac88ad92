import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import type { LineProcess } from '../../line-process.ts'
import { startPoints } from './start-points.ts'

/** A file system of its own needs a mount namespace. */
const canMount = spawnSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /mnt']).status === 0

/** Writes 100 KB at a time until one is refused; returns the next number and the code of the refusal. */
async function fillUp(child: LineProcess, first: number): Promise<{ next: number; code: string | undefined }> {
  for (let n = first; n < first + 1000; n++) {
    child.send(`text ${n} 50000`)
    const [verdict, , code] = (await child.next(/^(written|failed)/)).split(' ')
    if (verdict === 'failed') return { next: n, code }
  }
  throw new Error('nothing was refused')
}

describe('a full disk', () => {
  it.skipIf(!canMount).for([
    { what: 'while nothing is sealed', sealAfterPoints: 1_000_000 },
    { what: 'while sealing', sealAfterPoints: 20 },
  ])(
    '$what makes writes fail with disk_full, and they resume when there is space (needs `unshare -rm`)',
    async ({ sealAfterPoints }) => {
      const mounted = tempFolder()
      const fill = 'dd if=/dev/zero of="$0/ballast" bs=1M count=8 2>/dev/null'
      const script = `mount -t tmpfs -o size=16m tmpfs "$0" && ${fill} && "$@" && exec "$@"`
      const child = startPoints(join(mounted, 'points'), {
        sealAfterPoints,
        wrap: (command) => ['unshare', '-rm', 'sh', '-c', script, mounted, ...command],
      })
      await child.next(/^ready$/)
      const first = await fillUp(child, 1)
      expect(first).toMatchObject({ code: 'disk_full' })
      expect(first.next).toBeGreaterThan(20)
      expect(await fillUp(child, first.next)).toMatchObject({ code: 'disk_full' })
      // Only the process and its children see the mount.
      rmSync(`/proc/${child.pid}/root${mounted}/ballast`)
      let verdict = 'failed'
      while (verdict.startsWith('failed')) {
        // Sealing rests a few seconds after it failed.
        child.send(`text ${first.next} 1000`)
        verdict = await child.next(/^(written|failed)/)
      }
      child.send('sync')
      await child.next(/^synced$/)
      child.send('close')
      await child.next(/^closed$/)
      // The script starts a second process, on what the first one left.
      await child.next(/^ready$/)
      child.send(`text ${first.next + 1} 1000`)
      expect(await child.next(/^(written|failed)/)).toBe(`written ${first.next + 1}`)
      child.send('close')
      await child.next(/^closed$/)
    },
  )
})
