import { NOTHING_LEFT, type Left } from '../../../shared/sessions/port.ts'

/** The answer of `CLAIM` in scripts.ts: an epoch of 0 or less is none. */
export function claimed(answer: unknown): { epoch: number; node: string; isPresent: boolean; left: Left } {
  if (!Array.isArray(answer)) throw new Error('an unexpected answer from Redis')
  const [epoch, node = '', present, formerEpoch = '', fields = []] = answer as unknown as ClaimAnswer
  const isPresent = Number(present) === 1
  const left = isPresent ? { epoch: formerEpoch, unreleased: idsIn(fields) } : NOTHING_LEFT
  return { epoch: Number(epoch), node, isPresent, left }
}

type ClaimAnswer = readonly [epoch: number, node?: string, present?: number, formerEpoch?: string, ids?: string[]]

function idsIn(fields: readonly string[]): ReadonlyMap<number, number> {
  const ids = new Map<number, number>()
  for (let at = 0; at < fields.length; at += 2) ids.set(Number(fields[at]), Number(fields[at + 1]))
  return ids
}
