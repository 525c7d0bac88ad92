import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { inPieces, Turns } from '../../../../services/query-api/series-answer.ts'

const type = () => undefined
const reply = { type } as unknown as FastifyReply
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.nat(70_000).map((length) => '"é'.repeat(length / 2)),
)
const value = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), text)
const time = fc.oneof(fc.nat(), fc.string())
const points = fc.oneof(
  fc.array(fc.tuple(time, value), { maxLength: 8 }),
  fc
    .integer({ min: 1_000, max: 3_000 })
    .map((count) => Array.from({ length: count }, (_, n): [number, number] => [n, n])),
)
const series = fc.record({ field: fc.string(), type: fc.constant('float' as const), stream: fc.string(), points })
const answers = fc.record({
  series: fc.array(series, { maxLength: 4 }),
  complete: fc.boolean(),
  next: fc.option(fc.string()),
  leftOut: fc.array(fc.record({ field: fc.string() }), { maxLength: 2 }),
})

async function written(answer: ReturnType<typeof inPieces>): Promise<{ json: string; pieces: number }> {
  if (!(answer instanceof Readable)) return { json: JSON.stringify(answer), pieces: 1 }
  const pieces = (await answer.toArray()) as Buffer[]
  return { json: Buffer.concat(pieces).toString(), pieces: pieces.length }
}

it('an answer in pieces is the JSON of the answer', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (answer) => {
      const { json } = await written(inPieces(answer, reply, new Turns()))
      expect(json).toBe(JSON.stringify(answer))
    }),
    { numRuns: 60 },
  )
})

it('of all answers together one piece is made at a time, and all others have their turn in between', async () => {
  const turns = new Turns()
  const answer = { series: [{ points: Array.from({ length: 10_000 }, (_, n): [number, number] => [n, n / 8]) }] }
  let loops = 0
  let isDone = false
  const counting = (async () => {
    for (; !isDone; loops += 1) await nextTurn()
  })()
  const all = await Promise.all(Array.from({ length: 4 }, () => written(inPieces(answer, reply, turns))))
  isDone = true
  await counting
  const pieces = all.reduce((sum, one) => sum + one.pieces, 0)
  expect(pieces).toBeGreaterThanOrEqual(4 * 5)
  expect(loops).toBeGreaterThanOrEqual(pieces)
})
