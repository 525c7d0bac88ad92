import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readCursor, writeCursor } from '../../../services/query-api/letter-cursor.ts'
import type { SluiceError } from '../../../shared/errors.ts'
import { openApi } from './api.ts'

it.each(['nonsense', 'e30', 'WzFd', 'W1sxLC0xXV0', 'bnVsbA', 'W1siYSIsMV1d'])(
  'refuses the cursor %s',
  async (cursor) => {
    const { call } = await openApi()
    const answer = await call('GET', `/v1/dead-letters?cursor=${cursor}`)
    expect(answer).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } })
  },
)

it('cursors: what was written is read; anything else is an error and nothing worse', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.maxSafeNat())), (entries) => {
      const cursor = new Map(entries)
      expect(readCursor(writeCursor(cursor))).toEqual(cursor)
    }),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json().map((json) => Buffer.from(json).toString('base64url')),
      ),
      (text) => {
        try {
          expect(readCursor(text)).toBeInstanceOf(Map)
        } catch (error) {
          expect((error as SluiceError).code).toBe('cursor_invalid')
        }
      },
    ),
  )
})
