import { NOTHING_LEFT, type Lease } from '../../../shared/sessions/port.ts'

/** The answer of `CLAIM` in scripts.ts: an epoch of 0 or less is none. */
export function claimed(answer: unknown): Claimed {
  if (!Array.isArray(answer)) throw new Error('an unexpected answer from Redis')
  const [epoch, node = '', present, formerEpochOrRoom = '', fields = []] = answer as unknown as ClaimAnswer
  const isPresent = Number(present) === 1
  const left = isPresent ? { epoch: String(formerEpochOrRoom), unreleased: idsIn(fields) } : NOTHING_LEFT
  return { epoch: Number(epoch), node, isPresent, hasMadeRoom: !isPresent && Number(formerEpochOrRoom) === 1, left }
}

interface Claimed extends Pick<Lease, 'isPresent' | 'hasMadeRoom' | 'left'> {
  readonly epoch: number
  /** That holds, or held, the session. */
  readonly node: string
}

type ClaimAnswer = readonly [epoch: number, node?: string, present?: number, more?: string | number, ids?: string[]]

function idsIn(fields: readonly string[]): ReadonlyMap<number, number> {
  const ids = new Map<number, number>()
  for (let at = 0; at < fields.length; at += 2) ids.set(Number(fields[at]), Number(fields[at + 1]))
  return ids
}
