import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { openReal } from './real-api.ts'

it.skipIf(!existsSync('/usr/bin/curl'))('the examples of docs/api.md work in the order they are read', async () => {
  const { url, token } = await openReal()
  const page = readFileSync(join(import.meta.dirname, '../../../docs/api.md'), 'utf8')
  const blocks = [...page.matchAll(/```sh\n([^`]+)```/g)].map(([, block = '']) => block)
  // The first block sets what is given here; the live view has no end.
  const runnable = blocks.slice(1).filter((block) => !block.includes('curl -N'))
  expect(runnable.length).toBeGreaterThan(5)
  for (const block of runnable) {
    const { stdout } = await promisify(execFile)('sh', ['-ec', block], {
      env: { PATH: '/usr/bin:/bin', SLUICE: url, TOKEN: token },
    })
    expect(stdout, block).toMatch(/[{}]/)
  }
})
