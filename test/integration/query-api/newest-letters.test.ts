import { expect, it } from 'vitest'
import { newestPages } from '../../../services/query-api/replay/letter-pages.ts'
import { deadLetterToRecord, type DeadLetter } from '../../../shared/dead-letter.ts'
import { openReal } from './real-api.ts'

const FIRST = Date.now() - 1_000_000
const DEVICES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const LETTERS = 1_200

/** Of devices by turns, which lie in all partitions. */
function letter(n: number): DeadLetter {
  const key = `demo/${DEVICES[n % DEVICES.length] ?? ''}`
  return {
    ...{ stage: 'decode', code: 'time_invalid', detail: '', who: key, topic: `t/${key}/telemetry`, key },
    ...{ payload: Buffer.from('{}'), ms: FIRST + n, ns: 0, log: 'one', source: { partition: 0, offset: n } },
    ...{ firstFailedMs: FIRST + n, attempts: 1 },
  }
}

it('letters of several partitions are the newest first, however few are looked at', async () => {
  const { log } = await openReal(undefined, { isIdle: true })
  const letters = Array.from({ length: LETTERS }, (_, n) => letter(n))
  await log.append('telemetry.dead-letter', letters.map(deadLetterToRecord))
  expect((await log.offsets('telemetry.dead-letter')).filter(({ end }) => end > 0).length).toBeGreaterThan(1)
  const numbers = async (most: number) => {
    const found: number[] = []
    let complete = false
    for await (const page of newestPages(log, most, new AbortController().signal)) {
      found.push(...page.letters.map((one) => one.letter.firstFailedMs - FIRST))
      complete = page.isLast
    }
    return { found, complete }
  }
  const newest = (count: number) => Array.from({ length: count }, (_, i) => LETTERS - 1 - i)
  expect(await numbers(20_000)).toEqual({ found: newest(LETTERS), complete: true })
  const some = await numbers(300)
  expect(some.complete).toBe(false)
  expect(some.found.length).toBeGreaterThan(100)
  expect(some.found).toEqual(newest(some.found.length))
})
