import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { LocalSessions } from '../../../../../services/broker/sessions/local-sessions.ts'
import type { Persistence } from '../../../../../services/broker/sessions/aedes-internals.ts'

function setUp(max: number) {
  const cleaned: string[] = []
  const persistence = {
    cleanSubscriptions: async ({ id }: { id: string }) => void cleaned.push(id),
    outgoingStream: () => Readable.from([]),
    cleanIncoming: () => Promise.resolve(),
  } as unknown as Persistence
  const forgotten: string[] = []
  const sessions = new LocalSessions(persistence, max, async (id) => void forgotten.push(id))
  return { cleaned, forgotten, sessions }
}

it('a session that ends is removed from the store, whoever ends it, and leaves room for another', async () => {
  const { cleaned, sessions } = setUp(1)
  const full = { code: 'session_limit' }
  const claim = async (id: string, clean = false) => sessions.claim(`a/1/${id}`, { clean })
  sessions.release(await claim('clean'))
  await expect(claim('leaves')).rejects.toMatchObject(full)
  // aedes may never get to know of a clean connection that is closed at once.
  sessions.release(await claim('clean', true))
  expect(cleaned.splice(0)).toEqual(['a/1/clean'])

  const leaving = await claim('leaves')
  await sessions.discard('a/1/leaves', true)
  sessions.release(leaving)
  sessions.release(await claim('expires'))
  await sessions.discard('a/1/expires', false)
  await claim('begins anew')
  await sessions.discard('a/1/begins anew', false)
  await expect(claim('one more')).rejects.toMatchObject(full)
  expect(cleaned.splice(0)).toEqual(['a/1/leaves', 'a/1/expires', 'a/1/begins anew'])
})

it('a login that ends takes its own sessions along', async () => {
  const { cleaned, sessions } = setUp(2)
  for (const id of ['a/1/x', 'a/1/y', 'a/11/x', 'a//1/x']) sessions.release(await sessions.claim(id, { clean: false }))
  await sessions.forget('a/1')
  expect(cleaned).toEqual(['a/1/x', 'a/1/y'])
  await sessions.forget('a')
  expect(cleaned.at(-1)).toBe('a//1/x')
})
