import { toSluiceError } from '../../shared/errors.ts'
import type { Session } from './session.ts'

const LATELY_MS = 3_600_000
const BEFORE_HOURS = 24
/** Letters of an hour from which on, and how many times those of an hour of the day before, is growth. */
const MANY = 100
const TIMES_AS_MANY = 10
/** Codes that are named in a line. */
const MAX_NAMED = 5

interface LetterStats {
  readonly letters: number
  readonly codes: readonly { readonly code: string; readonly letters: number }[]
  readonly complete: boolean
}

interface LastHour extends LetterStats {
  /** In each of the 24 hours before, on average; null where there are more than one answer counts. */
  readonly perHourBefore: number | null
  readonly growing: boolean
}

type Lately = { readonly lettersLastHour: LastHour | null } | { readonly lettersUnknown: string }

/** Dead letters of the last hour by code, or why they cannot be told; null of a server that does not count them. */
export async function lettersLately({ api }: Pick<Session, 'api'>): Promise<Lately> {
  try {
    const since = Date.now() - LATELY_MS
    const stats = await api.get<Partial<LetterStats>>('/v1/dead-letters/stats', { from: since })
    const { letters, codes, complete = true } = stats
    if (letters === undefined || codes === undefined) return { lettersLastHour: null }
    // Few are no growth, whatever came before.
    const perHourBefore = letters < MANY ? null : await lettersPerHour({ api }, since)
    const growing = letters >= MANY && (perHourBefore === null ? !complete : letters > TIMES_AS_MANY * perHourBefore)
    return { lettersLastHour: { letters, codes, complete, perHourBefore, growing } }
  } catch (error) {
    const { code } = toSluiceError(error)
    return code === 'not_found' ? { lettersLastHour: null } : { lettersUnknown: code }
  }
}

async function lettersPerHour({ api }: Pick<Session, 'api'>, beforeMs: number): Promise<number | null> {
  const span = { from: beforeMs - BEFORE_HOURS * 3_600_000, to: beforeMs }
  const { letters, complete } = await api.get<LetterStats>('/v1/dead-letters/stats', span)
  return complete ? letters / BEFORE_HOURS : null
}

/** For a line of text. */
export function letterCounts(lately: Lately): string[] {
  if ('lettersUnknown' in lately) return [`unknown: ${lately.lettersUnknown}`]
  if (lately.lettersLastHour === null) return []
  const { letters, codes, complete, perHourBefore, growing } = lately.lettersLastHour
  if (letters === 0) return ['none in the last hour']
  const named = codes.slice(0, MAX_NAMED).map((one) => `${one.code} ${one.letters}`)
  const rest = codes.length > MAX_NAMED ? ', and more' : ''
  const before = perHourBefore === null ? '' : `, after ${perHourBefore.toFixed(1)} an hour in the day before`
  const growth = growing ? [`growing${before}: ./sluice dead-letters stats says of what and whom`] : []
  return [`${complete ? '' : 'more than '}${letters} in the last hour: ${named.join(', ')}${rest}`, ...growth]
}
