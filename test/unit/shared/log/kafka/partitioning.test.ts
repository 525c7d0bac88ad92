import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../../../../shared/errors.ts'
import {
  appendedTo,
  ask,
  isMember,
  isPaused,
  join,
  leave,
  noteBehind,
  placedIn,
  proceed,
  readFrom,
  readLimit,
  say,
  settle,
  settledAt,
  switchOver,
  type Partitioning,
  type Wish,
} from '../../../../../shared/log/kafka/partitioning.ts'

const A = { name: 'broker/a', instance: 'a1' }
const B = { name: 'broker/b', instance: 'b1' }
const WISH: Wish = { to: 24, lettersTo: 24, without: [] }

/** Two processes, of which one asks. */
function asked(): Partitioning {
  return ask(join(join(settledAt(12, 12), A, 0), B, 0), WISH, 1_000)
}

function refusal(all: Partitioning, wish: Partial<Wish>): string {
  try {
    ask(all, { ...WISH, ...wish }, 1_000)
    return 'nothing'
  } catch (error) {
    return error instanceof SluiceError ? `${error.code}: ${error.message}` : String(error)
  }
}

describe('a change of the number of partitions', () => {
  it('goes on step by step, as all have heard, paused and stored', () => {
    let all = asked()
    expect([all.state, appendedTo(all), readFrom(all)]).toEqual(['asked', 12, 12])
    expect(placedIn(all)).toEqual([12])
    expect(proceed(all, 2_000)).toBe(all)
    for (const member of [A, B]) all = say(all, member, { heard: 1 }, 2_000)
    all = proceed(all, 2_000)
    expect([all.state, isPaused(all), readLimit(all, 3, 7)]).toEqual(['pausing', false, 7])
    all = say(all, A, { paused: 1 }, 2_100)
    const ends = Array.from({ length: 12 }, () => 100)
    expect(switchOver(all, { epoch: 1, ends }, 2_200)).toBe(all)
    all = switchOver(say(all, B, { paused: 1 }, 2_200), { epoch: 1, ends }, 2_200)
    expect([all.state, appendedTo(all), readFrom(all)]).toEqual(['switched', 24, 12])
    expect(placedIn(all)).toEqual([12, 24])
    expect([readLimit(all, 3, 7), readLimit(all, 15, 0)]).toEqual([100, 0])
    all = settle(all, { epoch: 1, notes: ends.map((_, n) => `note ${n}`) }, 9_000)
    expect([all.state, appendedTo(all), readFrom(all), readLimit(all, 3, 7)]).toEqual(['settled', 24, 24, Infinity])
    expect([noteBehind(all, 3), noteBehind(all, 15)]).toEqual([undefined, 'note 3'])
    expect(placedIn(all)).toEqual([12, 24])
    // The next one keeps what is noted until it has notes of its own.
    expect(noteBehind(ask(all, { ...WISH, to: 48 }, 10_000), 15)).toBe('note 3')
  })

  it('is given up, with the names of those who do not hear or do not pause', () => {
    const deaf = proceed(say(asked(), A, { heard: 1 }, 2_000), 11_000)
    expect(deaf).toMatchObject({
      state: 'settled',
      to: 12,
      reason: 'not heard by broker/b (silent for 11 s) within 10 s',
    })
    let busy = asked()
    for (const member of [A, B]) busy = say(busy, member, { heard: 1 }, 2_000)
    busy = say(proceed(busy, 2_000), A, { paused: 1 }, 2_000)
    expect(proceed(busy, 11_999).state).toBe('pausing')
    expect(proceed(busy, 12_000)).toMatchObject({
      ...{ state: 'settled', to: 12, reason: 'broker/b (silent for 10 s) did not pause within 10 s' },
    })
  })

  it('waits for no process that ended, that is named, or that was silent for a day', () => {
    expect(Object.keys(leave(asked(), B).members)).toEqual([A.name])
    const both = join(join(settledAt(12, 12), A, 0), B, 0)
    expect(Object.keys(ask(both, { ...WISH, without: [B.name] }, 0).members)).toEqual([A.name])
    expect(Object.keys(ask(say(both, A, {}, 90_000_000), WISH, 90_000_000).members)).toEqual([A.name])
    // It is alive after all, and one of them again; in the meantime it is asked like any other.
    const back = join(ask(both, { ...WISH, without: [B.name] }, 0), B, 0)
    expect(back.members[B.name]).toMatchObject({ heard: 1, paused: 0 })
    expect(isMember(join(back, { ...B, instance: 'b2' }, 0), B)).toBe(false)
  })

  it('is refused where it cannot keep the order, or nobody would do it', () => {
    const settled = join(settledAt(12, 12), A, 0)
    for (const to of [6, 12, 18]) expect(refusal(settled, { to })).toContain('no greater multiple')
    expect(refusal(asked(), {})).toContain('under way')
    expect(refusal(settled, { without: ['broker/c'] })).toContain('there is no process "broker/c"; there are broker/a')
    expect(refusal(settled, { without: [A.name] })).toContain('no process of the log is running')
  })
})

/** A process as it is: what it knows, which may be old, and by how many partitions an append of it is under way. */
class Process {
  known: Partitioning
  underWay: number | undefined
  readonly self: { name: string; instance: string }

  constructor(all: Partitioning, name: string, run: number) {
    this.self = { name, instance: `${name}${run}` }
    this.known = all
  }
}

type Step = readonly [what: 'look' | 'append' | 'end' | 'proceed' | 'switch' | 'settle' | 'crash' | 'ask', who: number]

const STEPS = fc.array(
  fc.tuple(
    fc.constantFrom<Step[0]>(
      'look',
      'look',
      'look',
      'append',
      'append',
      'end',
      'end',
      'proceed',
      'switch',
      'settle',
      'crash',
      'ask',
    ),
    fc.nat(1),
  ),
  { minLength: 60, maxLength: 300, size: 'max' },
)

/** Whether some process ever appended by one number while or after another one appended by a greater one. */
function isMixed(steps: readonly Step[], mayAppend: (known: Partitioning) => boolean): boolean {
  let all = settledAt(12, 12)
  let nowMs = 0
  let run = 0
  let most = 12
  const begin = (name: string): Process => {
    const process = new Process(all, name, (run += 1))
    all = join(all, process.self, nowMs)
    process.known = all
    return process
  }
  const processes = ['a', 'b'].map(begin)
  for (const [what, who] of steps) {
    nowMs += 100
    const process = processes[who]
    if (process === undefined) continue
    const { self, known } = process
    if (what === 'look') {
      process.known = all
      const { state, epoch } = all
      if (state === 'asked') all = say(all, self, { heard: epoch }, nowMs)
      if (state === 'pausing' && process.underWay === undefined) all = say(all, self, { paused: epoch }, nowMs)
    } else if (what === 'append' && process.underWay === undefined && mayAppend(known)) {
      process.underWay = appendedTo(known)
      if (process.underWay < most) return true
      most = process.underWay
      if (processes.some(({ underWay = most }) => underWay < most)) return true
    } else if (what === 'end') process.underWay = undefined
    else if (what === 'proceed') all = proceed(all, nowMs)
    else if (what === 'switch') all = switchOver(all, { epoch: known.epoch, ends: [] }, nowMs)
    else if (what === 'settle') all = settle(all, { epoch: known.epoch, notes: [] }, nowMs)
    else if (what === 'crash') processes[who] = begin(self.name)
    else if (all.state === 'settled') all = ask(all, { to: 2 * all.to, lettersTo: 12, without: [] }, nowMs)
  }
  return false
}

describe('processes that look, append, hang and crash in any order', () => {
  it('never append by two numbers at the same time, nor by the lower one after the greater one', () => {
    fc.assert(
      fc.property(STEPS, (steps) => !isMixed(steps, ({ state }) => state !== 'pausing')),
      { numRuns: 300 },
    )
    // Without the pause they do.
    expect(
      fc.check(
        fc.property(STEPS, (steps) => !isMixed(steps, () => true)),
        { numRuns: 300 },
      ).failed,
    ).toBe(true)
  })
})
