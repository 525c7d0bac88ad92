import Type, { type Static } from 'typebox'
import { isErrorCode, SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import { LETTER_KINDS } from '../../../shared/dead-letter.ts'
import { readCursor, writeCursor } from '../letter-cursor.ts'
import { LetterView, viewLetter } from '../letter-view.ts'
import { newestLetters, type LetterFilter } from '../letters.ts'
import { problemResponses } from '../problem.ts'
import { parseTime } from '../time.ts'

/** Which letters are asked for. */
export const LetterFilters = {
  tenant: Type.Optional(Type.String()),
  device: Type.Optional(Type.String({ description: 'Of one tenant, or of all.' })),
  code: Type.Optional(Type.String({ description: 'A code of docs/errors.md: of any fault of a letter.' })),
  from: Type.Optional(Type.String({ description: 'Failed then or later: RFC 3339 or milliseconds since 1970.' })),
  to: Type.Optional(Type.String({ description: 'Failed before: RFC 3339 or milliseconds since 1970.' })),
  kind: Type.Optional(Type.Enum([...LETTER_KINDS])),
}

const Query = Type.Object(
  {
    ...LetterFilters,
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    cursor: Type.Optional(Type.String({ maxLength: 4096 })),
  },
  { additionalProperties: false },
)

/** Errors: `bad_request` for a code that is none, or a span that ends before it begins. */
export function filterOf({
  tenant,
  device,
  code,
  kind,
  from,
  to,
}: Omit<Static<typeof Query>, 'limit' | 'cursor'>): LetterFilter {
  if (code !== undefined && !isErrorCode(code)) {
    throw new SluiceError('bad_request', 'parameter "code" is not one of docs/errors.md')
  }
  const fromMs = from === undefined ? undefined : parseTime('from', from).ms
  const toMs = to === undefined ? undefined : parseTime('to', to).ms
  if (fromMs !== undefined && toMs !== undefined && fromMs > toMs) {
    throw new SluiceError('bad_request', 'parameter "from" is later than "to"')
  }
  return { tenant, device, code, kind, fromMs, toMs }
}

export function deadLetterRoutes(app: Api, options: ApiParts<'log' | 'registry'>): void {
  app.get(
    '/dead-letters',
    {
      schema: {
        tags: ['readings'],
        summary: 'What was not stored, clients and messages that were refused, and warnings, newest first',
        description:
          'One letter for each record of which something was not stored, with its faults. One response searches at most ' +
          '20,000 letters: with a filter it may hold few or none and still have a next.',
        querystring: Query,
        response: {
          200: Type.Object({
            deadLetters: Type.Array(LetterView),
            next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor for the next page.' }),
          }),
          ...problemResponses,
        },
      },
    },
    async ({ query }) => {
      const cursor = query.cursor === undefined ? undefined : readCursor(query.cursor)
      const found = await newestLetters(options, { filter: filterOf(query), limit: query.limit, cursor })
      return {
        deadLetters: found.letters.map((letter) => viewLetter(letter, options.registry.names)),
        next: found.next === undefined ? null : writeCursor(found.next),
      }
    },
  )
}
