import { expect, it } from 'vitest'
import { ConnectionState } from '../../../../../services/broker/connection/connection-state.ts'

it('CONNECT has ten seconds, however often a byte of it comes; afterwards only silence counts', () => {
  const time = { seconds: 0 }
  const state = new ConnectionState(time)
  for (; time.seconds < 10; time.seconds += 1) {
    expect(state.isOverdue).toBe(false)
    state.heard()
  }
  expect(state.isOverdue).toBe(true)
  state.enter('open')
  state.keepalive = 2
  for (let i = 0; i < 10; i += 1) {
    time.seconds += 3
    expect(state.isOverdue).toBe(false)
    state.heard()
  }
  time.seconds += 4
  expect(state.isOverdue).toBe(true)
})
