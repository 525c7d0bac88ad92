import { expect, it } from 'vitest'
import { sessionError } from '../../../../../shared/sessions/sqlite/session-error.ts'

it.for([
  [{ code: 'EIO' }, 'storage_failed'],
  [{ errcode: 1034 }, 'storage_failed'],
  [{ code: 'ENOSPC' }, 'disk_full'],
  [{ errcode: 26 }, 'data_corrupt'],
  [{ code: 'EACCES' }, 'data_unwritable'],
  [{}, 'data_unwritable'],
] as const)('%o means %s', ([known, code]) => {
  const error = Object.assign(new Error('it says'), known)
  expect(sessionError(error, '/data/sessions.db')).toMatchObject({ code, message: '/data/sessions.db: it says' })
})
