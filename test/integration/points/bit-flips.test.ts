import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { lasting } from '../../long.ts'
import type { Flip } from './flip-process.ts'

const PROCESS = join(import.meta.dirname, 'flip-process.ts')
const VARIANT = join(import.meta.dirname, '../../variants/unchecked-points.ts')

/** Flips of one process. */
async function* flipsOf(count: number, preload: readonly string[] = []): AsyncGenerator<Flip> {
  const args = [...preload.flatMap((file) => ['--import', file]), PROCESS, '1', String(count)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('flipped ')) yield JSON.parse(line.slice('flipped '.length)) as Flip
  }
}

describe('a flipped bit in a file of the point store', () => {
  it(
    'never gives a wrong or a missing value without a word, and what is told is found without opening the store',
    { timeout: lasting({ gate: 300_000, long: 3_600_000 }) },
    async () => {
      const count = lasting({ gate: 12, long: 1000 })
      const flips: Flip[] = []
      for await (const flip of flipsOf(count)) flips.push(flip)
      expect(flips.filter(({ wrong }) => wrong.length > 0)).toEqual([])
      expect(flips.filter(({ isTold, isFound }) => isTold && !isFound)).toEqual([])
      expect(flips.length).toBe(count)
      const [told, found] = [flips.filter(({ isTold }) => isTold).length, flips.filter(({ isFound }) => isFound).length]
      process.stdout.write(`${count} flipped bits: ${told} told, ${found} found, the others changed nothing\n`)
      expect(told).toBeGreaterThan(0)
    },
  )

  it('gives wrong values where checksums are not compared', { timeout: 300_000 }, async () => {
    let wrong: readonly string[] = []
    for await (const flip of flipsOf(200, [VARIANT])) {
      wrong = flip.wrong
      if (wrong.length > 0) break
    }
    expect(wrong.length).toBeGreaterThan(0)
  })
})
