import { describe, expect, it, onTestFinished } from 'vitest'
import { SessionExpiry } from '../../../../../services/broker/sessions/session-expiry.ts'
import { SluiceError } from '../../../../../shared/errors.ts'
import { quiet } from '../../../../broker-harness.ts'

function setUp() {
  const discarded: string[] = []
  const clock = { now: 0, fails: false }
  const discard = async (id: string): Promise<void> => {
    if (clock.fails) throw new SluiceError('redis_unavailable', 'away')
    discarded.push(id)
  }
  const ends = new SessionExpiry(discard, quiet, () => clock.now)
  onTestFinished(() => ends.close())
  return { ends, discarded, clock }
}

describe('SessionEnds', () => {
  it('discards a session when its time has come, not before, and once', async () => {
    const { ends, discarded, clock } = setUp()
    await ends.end('now', 0)
    await ends.end('later', 5)
    clock.now = 4_999
    await ends.sweep()
    expect(discarded).toEqual(['now'])
    clock.now = 5_000
    await ends.sweep()
    await ends.sweep()
    expect(discarded).toEqual(['now', 'later'])
    expect(ends.size).toBe(0)
  })

  it('lets a session go on when its client is back in time, and not when it is late or wants a new one', async () => {
    const { ends, discarded, clock } = setUp()
    for (const id of ['back', 'late', 'new']) await ends.end(id, id === 'late' ? 1 : 5)
    clock.now = 1_000
    await ends.resume('back', false)
    await ends.resume('late', false)
    await ends.resume('new', true)
    expect(discarded).toEqual(['late', 'new'])
    clock.now = 60_000
    await ends.sweep()
    expect(discarded).toEqual(['late', 'new'])
  })

  it('tells a client whose session cannot be ended, and goes on when nobody waits', async () => {
    const { ends, clock } = setUp()
    clock.fails = true
    await ends.end('a', 0)
    await ends.end('b', 1)
    clock.now = 1_000
    await ends.sweep()
    await expect(ends.resume('c', true)).rejects.toMatchObject({ code: 'redis_unavailable' })
  })
})
