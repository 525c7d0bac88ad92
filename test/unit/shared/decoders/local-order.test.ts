import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LocalOrder } from '../../../../shared/decoders/local-order.ts'
import { zoneNamed } from '../../../../shared/decoders/zone.ts'
import { CHANGES, wallClock } from './local-clocks.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

interface Sent {
  readonly at: number
  readonly receivedMs: number
  readonly isRepeat?: boolean
}

/** As what readings of a clock on the wall are read, in the order in which they come. */
function read(zone: string, sent: readonly Sent[], order = new LocalOrder()): number[] {
  return sent.map(({ at, receivedMs, isRepeat }) => {
    const { first, second, isNearChange } = zoneNamed(zone).read(wallClock(zone, at))
    const chosen = order.choose(first, second, receivedMs, isRepeat)
    if (isNearChange) order.note(chosen, receivedMs)
    return chosen
  })
}

function times({ from, to, everyMs }: { from: number; to: number; everyMs: number }): number[] {
  return Array.from({ length: Math.ceil((to - from) / everyMs) }, (_, i) => from + i * everyMs)
}

describe('of the two instants of a local time', () => {
  it.each(CHANGES)('$zone: a reading a minute, sent as it is made, is a point a minute', ({ zone, at, minutes }) => {
    const change = Date.parse(at)
    const made = times({ from: change - minutes * MINUTE, to: change + minutes * MINUTE, everyMs: MINUTE })
    expect(made).toHaveLength(2 * minutes)
    expect(
      read(
        zone,
        made.map((ms) => ({ at: ms, receivedMs: ms + 2_000 })),
      ),
    ).toEqual(made)
  })

  it('as a backlog of any interval up to 25 minutes they keep the order of the log', () => {
    const any = fc.record({
      change: fc.constantFrom(...CHANGES),
      everyMs: fc.oneof(fc.constant(20_000), fc.integer({ min: MINUTE, max: 25 * MINUTE })),
      early: fc.integer({ min: 0, max: HOUR }),
      late: fc.integer({ min: 0, max: HOUR }),
      waitedMs: fc.integer({ min: 90 * MINUTE, max: 400 * 24 * HOUR }),
      betweenMs: fc.constantFrom(0, 1, 50),
    })
    fc.assert(
      fc.property(any, ({ change: { zone, at, minutes }, everyMs, early, late, waitedMs, betweenMs }) => {
        const change = Date.parse(at)
        // Of a zone whose clocks are set back by half an hour both halves are shown within one: intervals fit into them.
        const every = Math.min(everyMs, (minutes / 60) * 25 * MINUTE)
        const from = change - minutes * MINUTE - early - 1_000
        const made = times({ from: from - (from % 1_000), to: change + HOUR + late, everyMs: every - (every % 1_000) })
        const began = change + HOUR + late + waitedMs
        const sent = made.map((ms, i) => ({ at: ms, receivedMs: began + i * betweenMs }))
        expect(read(zone, sent)).toEqual(made)
      }),
      { numRuns: 150 },
    )
  })

  it('one reading an hour shows one time twice, and is two points', () => {
    const from = Date.parse('2026-10-24T21:30:00Z')
    const made = times({ from, to: from + 6 * HOUR, everyMs: HOUR })
    const late = made.map((at) => ({ at, receivedMs: from + 30 * HOUR }))
    expect(read('Europe/Berlin', late)).toEqual(made)
  })

  it('a device that was away in between, and sends at once what it has, is read by the receive time', () => {
    const [before, after] = [Date.parse('2026-10-24T23:50:00Z'), Date.parse('2026-10-25T01:30:00Z')]
    const made = [before, ...times({ from: after, to: after + 20 * MINUTE, everyMs: MINUTE })]
    const sent = made.map((at) => ({ at, receivedMs: at + 1_000 }))
    expect(read('Europe/Berlin', sent)).toEqual(made)
  })

  it('a backlog that ends within the hour goes on with what is made as it is sent', () => {
    const start = Date.parse('2026-10-24T23:40:00Z')
    const back = Date.parse('2026-10-25T01:50:00Z')
    const late = times({ from: start + MINUTE, to: back, everyMs: MINUTE }).map((at) => ({ at, receivedMs: back }))
    const live = times({ from: back, to: back + 30 * MINUTE, everyMs: MINUTE }).map((at) => ({ at, receivedMs: at }))
    const sent = [{ at: start, receivedMs: start }, ...late, ...live]
    expect(read('Europe/Berlin', sent)).toEqual(sent.map(({ at }) => at))
  })

  it('a backlog between readings that are made as they are sent', () => {
    const change = Date.parse('2026-10-25T01:00:00Z')
    const late = times({ from: change - 65 * MINUTE, to: change + 55 * MINUTE, everyMs: MINUTE })
    const sent = late.flatMap((at, i) => {
      const receivedMs = change + 3 * HOUR + i * 1_000
      return [
        { at, receivedMs },
        { at: receivedMs, receivedMs },
      ]
    })
    expect(read('Europe/Berlin', sent)).toEqual(sent.map(({ at }) => at))
  })

  it('messages that come again change nothing', () => {
    const change = Date.parse('2026-10-25T01:00:00Z')
    const made = times({ from: change - 70 * MINUTE, to: change + 70 * MINUTE, everyMs: MINUTE })
    const sent = made.flatMap((at, i) => {
      const receivedMs = change + 3 * HOUR
      const repeat =
        i % 7 === 6 ? [2, 1, 0].map((back) => ({ at: at - back * MINUTE, receivedMs, isRepeat: true })) : []
      return [{ at, receivedMs }, ...repeat]
    })
    expect(read('Europe/Berlin', sent)).toEqual(sent.map(({ at }) => at))
  })

  it('of one reading an hour a message that comes again is no other point', () => {
    const from = Date.parse('2026-10-24T21:30:00Z')
    const receivedMs = from + 30 * HOUR
    const sent = times({ from, to: from + 6 * HOUR, everyMs: HOUR }).flatMap((at) => [
      { at, receivedMs },
      { at, receivedMs, isRepeat: true },
    ])
    expect(read('Europe/Berlin', sent)).toEqual(sent.map(({ at }) => at))
  })

  it('what is known may be written and read in between', () => {
    const change = Date.parse('2026-10-25T01:00:00Z')
    const made = times({ from: change - 70 * MINUTE, to: change + 70 * MINUTE, everyMs: MINUTE })
    let order = new LocalOrder()
    const chosen = made.flatMap((at) => {
      order = LocalOrder.read(order.write())
      return read('Europe/Berlin', [{ at, receivedMs: change + 3 * HOUR }], order)
    })
    expect(chosen).toEqual(made)
  })
})
