import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'

/** What a piece of an answer weighs at most, the last point excepted: about half a millisecond of work. */
const PIECE_WEIGHT = 65_536
/** Of a point beside its text, in characters of text: a number costs some ten times as much as a character. */
const POINT_WEIGHT = 32
/** Between two pieces: whoever publishes meanwhile has more of the event loop than all large answers together. */
const PAUSE_MS = 1

/** Work in pieces, one of them at a time and with a pause between two, whoever it is for: all others are served meanwhile. */
export class Turns {
  /** Bound: requests in flight, each of which waits for one at most. */
  readonly #waiting: (() => void)[] = []

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setTimeout(this.#give, PAUSE_MS)
    })
  }

  readonly #give = (): void => {
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setTimeout(this.#give, PAUSE_MS)
  }
}

/** Time and value. */
type Points = readonly (readonly [unknown, unknown])[]

interface SeriesAnswer {
  readonly series: readonly { readonly points: Points }[]
}

/** The answer as it is when it is small; else the same JSON as a stream of pieces. */
export function inPieces<T extends SeriesAnswer>(answer: T, reply: FastifyReply, turns: Turns): T {
  let weight = 0
  for (const { points } of answer.series) {
    for (const point of points) weight += weightOf(point)
  }
  if (weight <= PIECE_WEIGHT) return answer
  void reply.type('application/json; charset=utf-8')
  // Fastify sends a stream as it is; its types have the object that it stands for.
  return Readable.from(bytesOf(answer, turns), { highWaterMark: 1 }) as unknown as T
}

async function* bytesOf(answer: SeriesAnswer, turns: Turns): AsyncGenerator<Buffer> {
  for (const text of textsOf(answer)) {
    yield Buffer.from(text)
    await turns.next()
  }
}

function* textsOf({ series, ...rest }: SeriesAnswer): Generator<string> {
  let text = '{"series":['
  for (const [index, { points, ...name }] of series.entries()) {
    text += `${index === 0 ? '' : ','}${JSON.stringify(name).slice(0, -1)},"points":[`
    let from = 0
    let weight = 0
    for (let to = 0; to < points.length; to += 1) {
      weight += weightOf(points[to])
      if (weight <= PIECE_WEIGHT && to + 1 < points.length) continue
      yield `${text}${from === 0 ? '' : ','}${JSON.stringify(points.slice(from, to + 1)).slice(1, -1)}`
      text = ''
      from = to + 1
      weight = 0
    }
    text += ']}'
  }
  yield `${text}],${JSON.stringify(rest).slice(1)}`
}

function weightOf(point: Points[number] | undefined): number {
  const value = point?.[1]
  return POINT_WEIGHT + (typeof value === 'string' ? value.length : 0)
}
