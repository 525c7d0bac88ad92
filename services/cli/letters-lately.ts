import { toSluiceError } from '../../shared/errors.ts'
import type { Session } from './session.ts'

const LATELY_MS = 3_600_000
/** Codes that are named in a line. */
const MAX_NAMED = 5

interface LetterStats {
  readonly letters: number
  readonly codes: readonly { readonly code: string; readonly letters: number }[]
  readonly complete: boolean
}

type Lately = { readonly lettersLastHour: LetterStats | null } | { readonly lettersUnknown: string }

/** Dead letters of the last hour by code, or why they cannot be told; null of a server that does not count them. */
export async function lettersLately({ api }: Pick<Session, 'api'>): Promise<Lately> {
  try {
    const stats = await api.get<Partial<LetterStats>>('/v1/dead-letters/stats', { from: Date.now() - LATELY_MS })
    const { letters, codes, complete } = stats
    if (letters === undefined || codes === undefined) return { lettersLastHour: null }
    return { lettersLastHour: { letters, codes, complete: complete ?? true } }
  } catch (error) {
    const { code } = toSluiceError(error)
    return code === 'not_found' ? { lettersLastHour: null } : { lettersUnknown: code }
  }
}

/** For a line of text. */
export function letterCounts(lately: Lately): string[] {
  if ('lettersUnknown' in lately) return [`unknown: ${lately.lettersUnknown}`]
  if (lately.lettersLastHour === null) return []
  const { letters, codes, complete } = lately.lettersLastHour
  if (letters === 0) return ['none in the last hour']
  const named = codes.slice(0, MAX_NAMED).map((one) => `${one.code} ${one.letters}`)
  const rest = codes.length > MAX_NAMED ? ', and more' : ''
  return [`${complete ? '' : 'more than '}${letters} in the last hour: ${named.join(', ')}${rest}`]
}
