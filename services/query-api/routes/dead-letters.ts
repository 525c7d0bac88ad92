import Type, { type Static } from 'typebox'
import { isErrorCode, SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import { goneSignal } from '../gone.ts'
import { LETTER_KINDS } from '../../../shared/dead-letter.ts'
import { LETTER_STATES, type LetterNote } from '../../../shared/registry/letters-port.ts'
import { readCursor, writeCursor } from '../letter-cursor.ts'
import { letterId, LetterView, viewLetter } from '../letter-view.ts'
import { newestLetters, type LetterFilter } from '../letters.ts'
import { problemResponses } from '../problem.ts'
import { letterStats } from '../replay/letter-stats.ts'
import { parseTime, rfc3339, TimeOrNull } from '../time.ts'

/** Which letters are asked for. */
export const LetterFilters = {
  id: Type.Optional(Type.String({ description: 'One letter, by its id.' })),
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

const Done = Type.Object({
  state: Type.Enum([...LETTER_STATES], {
    description: 'replayed: nothing of it is wrong any more; faulty: something still is; discarded: it is to be left.',
  }),
  tries: Type.Integer({ description: 'How often it was replayed.' }),
  at: TimeOrNull,
  who: Type.String(),
  job: Type.Integer(),
})

/** Of every letter that is shown. */
export const WithDone = {
  done: Type.Union([Done, Type.Null()], { description: 'What was done about it last.' }),
}

const ListedLetter = Type.Object({ ...LetterView.properties, ...WithDone })

/** Errors: `bad_request` for a code that is none, or a span that ends before it begins. */
export function filterOf({
  id,
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
  return { id, tenant, device, code, kind, fromMs, toMs }
}

const Stats = Type.Object({
  letters: Type.Integer({ description: 'Each once.' }),
  codes: Type.Array(
    Type.Object({
      code: Type.String(),
      letters: Type.Integer(),
      faults: Type.Integer({ description: 'Of a letter all of this code, also those that it does not list.' }),
    }),
    { description: 'The most letters first; a letter with several codes counts for each.' },
  ),
  who: Type.Array(Type.Object({ who: Type.String(), letters: Type.Integer() }), {
    description: 'The hundred with the most letters.',
  }),
  states: Type.Object(Object.fromEntries(['open' as const, ...LETTER_STATES].map((state) => [state, Type.Integer()]))),
  first: TimeOrNull,
  last: TimeOrNull,
  complete: Type.Boolean({ description: 'False where there are more than one answer is made of.' }),
})

function statsRoute(app: Api, options: ApiParts<'log' | 'registry'>): void {
  app.get(
    '/dead-letters/stats',
    {
      schema: {
        tags: ['readings'],
        summary: 'How many dead letters there are, by cause and device',
        description: 'One response is made of 20,000 letters at most.',
        querystring: Type.Object(LetterFilters, { additionalProperties: false }),
        response: { 200: Stats, ...problemResponses },
      },
    },
    async ({ query }, reply) => {
      const { firstMs, lastMs, codes, who, ...stats } = await letterStats(options, filterOf(query), goneSignal(reply))
      return { ...stats, codes: [...codes], who: [...who], first: rfc3339(firstMs), last: rfc3339(lastMs) }
    },
  )
}

export function deadLetterRoutes(app: Api, options: ApiParts<'log' | 'registry'>): void {
  statsRoute(app, options)
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
            deadLetters: Type.Array(ListedLetter),
            next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor for the next page.' }),
          }),
          ...problemResponses,
        },
      },
    },
    async ({ query }) => {
      const cursor = query.cursor === undefined ? undefined : readCursor(query.cursor)
      const found = await newestLetters(options, { filter: filterOf(query), limit: query.limit, cursor })
      const { names, letterNotes } = options.registry
      const notes = await letterNotes.of(found.letters.map((one) => letterId(one.letter, one)))
      const listed = found.letters.map((one) => viewLetter(one, names))
      return {
        deadLetters: listed.map((one) => ({ ...one, done: viewNote(notes.get(one.id)) })),
        next: found.next === undefined ? null : writeCursor(found.next),
      }
    },
  )
}

export function viewNote(note: LetterNote | undefined): Static<typeof Done> | null {
  if (note === undefined) return null
  const { state, tries, atMs, who, job } = note
  return { state, tries, at: rfc3339(atMs), who, job }
}
