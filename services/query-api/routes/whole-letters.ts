import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import { DeletedLetters } from '../deleted-letters.ts'
import { goneSignal } from '../gone.ts'
import { letterById } from '../letter-by-id.ts'
import { readCursor, writeCursor } from '../letter-cursor.ts'
import { viewWholeLetter, WholeLetterView } from '../letter-view.ts'
import { problemResponses } from '../problem.ts'
import { newestPages } from '../replay/letter-pages.ts'
import { notedOf } from '../replay/noted-letters.ts'
import { filterOf, LetterFilters, viewNote, WithDone } from './dead-letters.ts'

/** Records of letters that are looked at for one answer, letters of it, and bytes of their payloads, about. */
const MAX_SCANNED = 20_000
const MAX_LETTERS = 1_000
const MAX_BYTES = 4 * 1024 * 1024

const Params = Type.Object({
  id: Type.String({ description: 'As the list has it; each "/" in it as %2F.' }),
})

const Whole = Type.Object({ ...WholeLetterView.properties, ...WithDone })

const Query = Type.Object(
  { ...LetterFilters, cursor: Type.Optional(Type.String({ maxLength: 4096 })) },
  { additionalProperties: false },
)

/** Dead letters with all that was kept of them. */
export function wholeLetterRoutes(app: Api, options: ApiParts<'log' | 'registry'>): void {
  const { log, registry } = options
  app.get(
    '/dead-letters/export',
    {
      schema: {
        tags: ['readings'],
        summary: 'Whole dead letters, newest first, page by page',
        description:
          'For programs that take all of them away. A page has what 20,000 letters, or 4 MiB of payloads, have of what is ' +
          'asked for: it may be empty and still have a next. A letter that was written more than once may come again on ' +
          'a later page, with the same id.',
        querystring: Query,
        response: {
          200: Type.Object({
            deadLetters: Type.Array(Whole),
            next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor for the next page.' }),
          }),
          ...problemResponses,
        },
      },
    },
    async ({ query }, reply) => {
      const filter = filterOf(query)
      const after = query.cursor === undefined ? undefined : readCursor(query.cursor)
      const deadLetters: Static<typeof Whole>[] = []
      let [next, bytes]: [string | null, number] = [null, 0]
      for await (const page of newestPages(log, MAX_SCANNED, goneSignal(reply), after)) {
        for (const one of await notedOf(registry, filter, page)) {
          deadLetters.push({ ...viewWholeLetter(one, registry.names), done: viewNote(one.note) })
          bytes += one.letter.payload.length
        }
        next = page.isLast ? null : writeCursor(page.next)
        if (deadLetters.length >= MAX_LETTERS || bytes >= MAX_BYTES) break
      }
      return { deadLetters, next }
    },
  )
  app.get(
    '/dead-letters/:id',
    {
      schema: {
        tags: ['readings'],
        summary: 'One dead letter, with its whole payload',
        params: Params,
        response: { 200: Whole, ...problemResponses },
      },
    },
    async ({ params: { id } }, reply) => {
      const found = await letterById(log, id, goneSignal(reply))
      const deleted = await DeletedLetters.of(registry)
      if (found === undefined || deleted.has(found.letter)) {
        throw new SluiceError('not_found', 'There is no dead letter with this id: it may have left the log.')
      }
      const notes = await registry.letterNotes.of([id])
      return { ...viewWholeLetter(found, registry.names), done: viewNote(notes.get(id)) }
    },
  )
}
