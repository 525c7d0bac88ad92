import { SluiceError } from '../../shared/errors.ts'

/** Per partition the first offset that is not wanted any more. */
export type LetterCursor = ReadonlyMap<number, number>

/** Text for the next request. */
export function writeCursor(cursor: LetterCursor): string {
  return Buffer.from(JSON.stringify([...cursor])).toString('base64url')
}

/** Inverse of {@link writeCursor}. Error: `cursor_invalid`. */
export function readCursor(text: string): LetterCursor {
  const invalid = (cause?: unknown) =>
    new SluiceError('cursor_invalid', 'The cursor does not belong to this list.', { cause })
  let entries: unknown
  try {
    entries = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch (error) {
    throw invalid(error)
  }
  if (!Array.isArray(entries)) throw invalid()
  const pairs = entries.map((entry: unknown): [number, number] => {
    const [partition, offset] = Array.isArray(entry) ? (entry as unknown[]) : []
    if (!isIndex(partition) || !isIndex(offset)) throw invalid()
    return [partition, offset]
  })
  return new Map(pairs)
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
