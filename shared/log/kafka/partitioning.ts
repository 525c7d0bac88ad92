// Invariant: when somebody may append by the new number, nobody appends by the old one any more; and when somebody reads what
// was appended by the new number, all that was appended by the old one is stored. So the records of a device are stored in
// the order of their acknowledgements.
import { SluiceError } from '../../errors.ts'
import type { Repartition } from '../port.ts'

/**
 * How far a change of the number of partitions is:
 *
 *     settled -> asked -> pausing -> switched -> settled
 *                  └─────────┴────────────────────┘  given up: by the old number, with the reason
 *
 * `asked`: everything goes on, and each process says that it hears. `pausing`: each process stops to append and to read on,
 * and says so when nothing of it is under way. `switched`: appends go to the new number; consumers read the old partitions up
 * to where they ended, and nothing else. `settled`: they have stored that.
 */
export type PartitioningState = 'settled' | 'asked' | 'pausing' | 'switched'

/** A process that may append. */
interface Member {
  /** Of this run of the process: another one has the name by now where it is another. */
  readonly instance: string
  /** When it said something last, by the clock of the registry. */
  readonly atMs: number
  /** The last change that it has heard of, and the last one that it has paused for. */
  readonly heard: number
  readonly paused: number
}

/** What the processes of a log agree on: into how many partitions its records go, and how far a change of that is. */
export interface Partitioning {
  /** Counts the changes that were asked for. */
  readonly epoch: number
  readonly state: PartitioningState
  /** Number before and behind the change; the same when there was none. */
  readonly from: number
  readonly to: number
  /** Number of the topic of dead letters, which have no order. */
  readonly letters: number
  readonly lettersTo: number
  /** Begin of the state, by the clock of the registry. */
  readonly sinceMs: number
  /** From `switched` on: where the old partitions ended. */
  readonly ends: readonly number[]
  /** Of the last change that was settled: what consumers had noted there, by which whoever reads a new partition goes on. */
  readonly notes: readonly (string | null)[]
  /** Why the last change was given up. */
  readonly reason?: string | undefined
  readonly members: Readonly<Record<string, Member>>
}

/** Those who do not hear in time are named, and nobody has paused for them. */
const HEAR_MS = 10_000
/** An append that is under way ends within seconds, or Kafka does not answer; clients wait for so long. */
const PAUSE_MS = 10_000
/** No step that the processes take by themselves takes longer. */
export const LONGEST_MS = Math.max(HEAR_MS, PAUSE_MS)
/** Twice as long as a process may stamp without the registry: one that is silent for longer appends nothing any more. */
const FORGET_MS = 24 * 3_600_000
/** So often each process says that it lives: by it people tell one that hangs from one that has long been gone. */
export const RENEW_MS = 60_000

export function parsePartitioning(text: string): Partitioning {
  return JSON.parse(text) as Partitioning // our own text
}

/** Before any change. */
export function settledAt(partitions: number, letters: number): Partitioning {
  const counts = { from: partitions, to: partitions, letters, lettersTo: letters }
  return { epoch: 0, state: 'settled', ...counts, sinceMs: 0, ends: [], notes: [], members: {} }
}

/** Into how many partitions records are appended. */
export function appendedTo({ state, from, to }: Partitioning): number {
  return state === 'asked' || state === 'pausing' ? from : to
}

/** The change that is under way. */
export function changeIn({ state, from, to, sinceMs }: Partitioning): Repartition | undefined {
  return state === 'settled' ? undefined : { state, from, to, sinceMs }
}

/** Over how many partitions records lie that may not be stored yet. */
export function unstoredIn(all: Partitioning): readonly number[] {
  return all.state === 'switched' ? [all.from, all.to] : [appendedTo(all)]
}

/** Into how many partitions records were appended before the last change, and into how many they are now. */
export function placedIn(all: Partitioning): readonly number[] {
  const before = all.state === 'switched' ? all.from : all.notes.length
  return before === 0 ? [appendedTo(all)] : [before, appendedTo(all)]
}

/** How many partitions consumers share. */
export function readFrom({ state, from, to }: Partitioning): number {
  return state === 'settled' ? to : from
}

/** The offset in a partition that no consumer passes; `next`, where it is, while nothing may be read. */
export function readLimit({ state, ends }: Partitioning, partition: number, next: number): number {
  if (state === 'pausing') return next
  return state === 'switched' ? (ends[partition] ?? 0) : Infinity
}

/** What is noted with the beginning of a new partition: all its records came from behind that place of the old one. */
export function noteBehind({ notes }: Partitioning, partition: number): string | undefined {
  return partition < notes.length ? undefined : (notes[partition % notes.length] ?? undefined)
}

/** A process begins: it has heard what is asked, and where all pause it has paused, because nothing of it is under way. */
export function join(all: Partitioning, { name, instance }: MemberName, nowMs: number): Partitioning {
  const { epoch, state } = all
  const alive = Object.entries(all.members).filter(([, { atMs }]) => nowMs - atMs < FORGET_MS)
  const own = { instance, atMs: nowMs, heard: epoch, paused: state === 'asked' ? epoch - 1 : epoch }
  return { ...all, members: { ...Object.fromEntries(alive), [name]: own } }
}

export interface MemberName {
  readonly name: string
  readonly instance: string
}

export function isMember({ members }: Partitioning, { name, instance }: MemberName): boolean {
  return members[name]?.instance === instance
}

/** A process ends: it appends nothing any more. */
export function leave(all: Partitioning, member: MemberName): Partitioning {
  if (!isMember(all, member)) return all
  const { [member.name]: _left, ...members } = all.members
  return { ...all, members }
}

/** What a process says of itself; without a change, that it lives. */
export function say(
  all: Partitioning,
  member: MemberName,
  said: { readonly heard?: number; readonly paused?: number },
  nowMs: number,
): Partitioning {
  const own = all.members[member.name]
  if (own?.instance !== member.instance) return all
  return { ...all, members: { ...all.members, [member.name]: { ...own, ...said, atMs: nowMs } } }
}

export interface Wish {
  readonly to: number
  readonly lettersTo: number
  /** Names of processes of which somebody knows that they have ended. */
  readonly without: readonly string[]
}

/** Errors: `log_repartition_refused`. */
export function ask(all: Partitioning, { to, lettersTo, without }: Wish, nowMs: number): Partitioning {
  const from = all.to
  const refuse = (detail: string) => new SluiceError('log_repartition_refused', detail)
  if (all.state !== 'settled') throw refuse(`a change from ${all.from} to ${all.to} partitions is under way`)
  if (to <= from || to % from !== 0) {
    throw refuse(`the log has ${from} partitions, and the new number, ${to}, is no greater multiple of it`)
  }
  const unknown = without.find((name) => all.members[name] === undefined)
  if (unknown !== undefined) {
    throw refuse(`there is no process ${JSON.stringify(unknown)}; there are ${Object.keys(all.members).join(', ')}`)
  }
  const members = Object.fromEntries(
    Object.entries(all.members).filter(([name, { atMs }]) => !without.includes(name) && nowMs - atMs < FORGET_MS),
  )
  if (Object.keys(members).length === 0) throw refuse('no process of the log is running')
  const counts = { from, to, letters: all.lettersTo, lettersTo }
  const none = { ends: [], reason: undefined }
  return { ...all, ...counts, ...none, members, epoch: all.epoch + 1, state: 'asked', sinceMs: nowMs }
}

/** Those who have not said it yet, and since when nothing was heard of them. */
export function missing({ epoch, members }: Partitioning, what: 'heard' | 'paused', nowMs: number): string[] {
  return Object.entries(members)
    .filter(([, member]) => member[what] < epoch)
    .map(([name, { atMs }]) => `${name} (silent for ${Math.round((nowMs - atMs) / 1000)} s)`)
}

/** The next state as far as the processes themselves decide it: all have heard, or somebody did not in time. */
export function proceed(all: Partitioning, nowMs: number): Partitioning {
  const waitedMs = nowMs - all.sinceMs
  if (all.state === 'asked') {
    const deaf = missing(all, 'heard', nowMs)
    if (deaf.length === 0) return { ...all, state: 'pausing', sinceMs: nowMs }
    if (waitedMs >= HEAR_MS) return giveUp(all, `not heard by ${deaf.join(', ')} within ${HEAR_MS / 1000} s`, nowMs)
  }
  if (all.state === 'pausing' && waitedMs >= PAUSE_MS) {
    const busy = missing(all, 'paused', nowMs)
    const who = busy.length === 0 ? 'where the partitions end could not be read' : `${busy.join(', ')} did not pause`
    return giveUp(all, `${who} within ${PAUSE_MS / 1000} s`, nowMs)
  }
  return all
}

function giveUp(all: Partitioning, reason: string, nowMs: number): Partitioning {
  const { from, letters } = all
  return { ...all, state: 'settled', to: from, lettersTo: letters, sinceMs: nowMs, reason }
}

/** Whether everybody has paused, so that the old partitions have their ends. */
export function isPaused(all: Partitioning): boolean {
  return all.state === 'pausing' && missing(all, 'paused', 0).length === 0
}

/** Appends go on, by the new number. Nothing, where it is another change by now, or somebody came who has not paused. */
export function switchOver(
  all: Partitioning,
  { epoch, ends }: Pick<Partitioning, 'epoch' | 'ends'>,
  nowMs: number,
): Partitioning {
  if (all.epoch !== epoch || !isPaused(all)) return all
  return { ...all, state: 'switched', ends, sinceMs: nowMs }
}

/** All before the ends is stored. */
export function settle(
  all: Partitioning,
  { epoch, notes }: Pick<Partitioning, 'epoch' | 'notes'>,
  nowMs: number,
): Partitioning {
  if (all.epoch !== epoch || all.state !== 'switched') return all
  return { ...all, state: 'settled', letters: all.lettersTo, notes, sinceMs: nowMs }
}

/** How many partitions the topic of dead letters has, of those that are used. */
export function lettersIn(all: Partitioning): number {
  return all.state === 'switched' ? all.lettersTo : all.letters
}
