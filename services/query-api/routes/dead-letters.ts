import Type from 'typebox'
import type { Api, ApiParts } from '../api.ts'
import { LETTER_KINDS } from '../../../shared/dead-letter.ts'
import { readCursor, writeCursor } from '../letter-cursor.ts'
import { LetterView, viewLetter } from '../letter-view.ts'
import { newestLetters } from '../letters.ts'
import { problemResponses } from '../problem.ts'

const Query = Type.Object(
  {
    tenant: Type.Optional(Type.String()),
    code: Type.Optional(Type.String({ description: 'A code of docs/errors.md: of any fault of a letter.' })),
    kind: Type.Optional(Type.Enum([...LETTER_KINDS])),
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    cursor: Type.Optional(Type.String({ maxLength: 4096 })),
  },
  { additionalProperties: false },
)

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
      const found = await newestLetters(options, { filter: query, limit: query.limit, cursor })
      return {
        deadLetters: found.letters.map((letter) => viewLetter(letter, options.registry.names)),
        next: found.next === undefined ? null : writeCursor(found.next),
      }
    },
  )
}
