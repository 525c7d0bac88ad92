import type { Admin } from 'kafkajs'
import { expect, it, vi } from 'vitest'
import { LETTER_ROOM_BYTES } from '../../../../../shared/dead-letter.ts'
import { SluiceError } from '../../../../../shared/errors.ts'
import { makeLetterRoom } from '../../../../../shared/log/kafka/letter-room.ts'
import { createLogger } from '../../../../../shared/process/logger.ts'

const NAMES = { records: 'raw', letters: 'dead' }
const state = { durability: { ok: true, detail: '' }, retention: {}, differences: [], unused: 0, unread: 0 }

function statesOf(raw: number, dead: number) {
  return new Map([
    ['raw', { ...state, maxBatchBytes: raw }],
    ['dead', { ...state, maxBatchBytes: dead }],
  ])
}

it('a topic that is large enough is left alone', async () => {
  const states = statesOf(1000, 1000 + LETTER_ROOM_BYTES)
  const withAdmin = vi.fn()
  await makeLetterRoom(NAMES, states, withAdmin, createLogger('silent'))
  expect(withAdmin).not.toHaveBeenCalled()
})

it('without the right to change it, it is said what to change, and the log opens', async () => {
  const states = statesOf(1000, 1000)
  const logger = createLogger('silent')
  const warn = vi.spyOn(logger, 'warn')
  const denied = new SluiceError('log_refused', 'Topic authorization failed')
  const withAdmin = <T>(_: (admin: Admin) => Promise<T>) => Promise.reject<T>(denied)
  await makeLetterRoom(NAMES, states, withAdmin, logger)
  expect(states.get('dead')?.maxBatchBytes).toBe(1000)
  expect(warn).toHaveBeenCalledWith(
    expect.objectContaining({
      ...{ topic: 'dead', setting: 'max.message.bytes', to: 1000 + LETTER_ROOM_BYTES, code: 'log_refused' },
      reason: 'Topic authorization failed',
    }),
    expect.any(String),
  )
})
