import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Admission, type AdmissionLimits } from '../../../../../services/broker/listeners/admission.ts'

class FakeSocket extends EventEmitter {
  destroyed = false

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.emit('close')
  }

  resetAndDestroy(): void {
    this.destroy()
  }

  asSocket(): Socket {
    // What the admission calls is there.
    return this as unknown as Socket
  }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function admission(limits: Partial<AdmissionLimits> = {}): Admission {
  const it = new Admission({ connections: 1_000, perAddress: 0, perSecond: 0, isGuessing: () => false, ...limits })
  onTestFinished(() => it.close())
  return it
}

/** From this address. */
function enter(to: Admission, address: string): { socket: FakeSocket; begun: () => boolean } {
  const { socket } = arrive(to)
  let begun = false
  to.enter(socket.asSocket(), address, () => (begun = true))
  return { socket, begun: () => begun }
}

function arrive(to: Admission, isExempt = false): { socket: FakeSocket; begun: () => boolean } {
  const socket = new FakeSocket()
  let begun = false
  to.arrive(socket.asSocket(), isExempt, () => (begun = true))
  return { socket, begun: () => begun }
}

describe('admission', () => {
  it('resets what is beyond the number of connections, until one has left', () => {
    const door = admission({ connections: 2 })
    const [first, , third] = [arrive(door), arrive(door), arrive(door)]
    expect([third.begun(), third.socket.destroyed, door.open]).toEqual([false, true, 2])
    first.socket.destroy()
    expect(arrive(door).begun()).toBe(true)
    expect(door.turnedAway.get('node_full')).toBe(1)
  })

  it('counts by site; loopback has no limit, and what has left does not count', () => {
    const door = admission({ perAddress: 2 })
    const areIn = (...addresses: string[]) => addresses.map((address) => enter(door, address).begun())
    const first = enter(door, '192.0.2.1')
    expect([first.begun(), ...areIn('::ffff:192.0.2.1', '192.0.2.1')]).toEqual([true, true, false])
    expect(areIn('2001:db8::1', '2001:db8::2', '2001:db8::3')).toEqual([true, true, false])
    expect(areIn('127.0.0.1', '127.0.0.1', '127.0.0.1')).toEqual([true, true, true])
    first.socket.destroy()
    expect(areIn('192.0.2.1')).toEqual([true])
    expect(door.turnedAway.get('address_full')).toBe(2)
  })

  it('lets newcomers wait for their turn, first come first served, but not those that are exempt', () => {
    const door = admission({ perSecond: 10 })
    const all = Array.from({ length: 25 }, () => arrive(door))
    const begun = () => all.filter((one) => one.begun()).length
    expect([begun(), door.waiting, arrive(door, true).begun()]).toEqual([10, 15, true])
    vi.advanceTimersByTime(1_000)
    expect(begun()).toBeGreaterThanOrEqual(19)
    expect(all.findIndex((one) => !one.begun())).toBe(begun())
    all[24]?.socket.destroy()
    vi.advanceTimersByTime(1_000)
    expect([begun(), door.waiting]).toEqual([24, 0])
  })

  it('begins with a tenth of a second at once, and spreads the rest of a crowd', () => {
    const door = admission({ perSecond: 500 })
    vi.advanceTimersByTime(10_000)
    const all = Array.from({ length: 500 }, () => arrive(door))
    const begun = () => all.filter((one) => one.begun()).length
    expect(begun()).toBe(50)
    vi.advanceTimersByTime(100)
    expect(begun()).toBeLessThanOrEqual(100)
    vi.advanceTimersByTime(1_000)
    expect(begun()).toBe(500)
  })

  it('begins one at a time where logins are guessed, and holds up nobody else', () => {
    let guessing = '192.0.2.1'
    const door = admission({ perAddress: 100, isGuessing: (address) => address === guessing })
    const guesses = Array.from({ length: 50 }, () => enter(door, '192.0.2.1'))
    const begun = () => guesses.filter((one) => one.begun()).length
    expect([begun(), door.waiting, enter(door, '192.0.2.2').begun()]).toEqual([0, 50, true])
    vi.advanceTimersByTime(100)
    expect([begun(), guesses[9]?.begun(), guesses[10]?.begun()]).toEqual([10, true, false])
    guesses[10]?.socket.destroy()
    expect(door.waiting).toBe(39)
    // Who comes when it is over still stands behind those who wait.
    guessing = ''
    const later = enter(door, '192.0.2.1')
    vi.advanceTimersByTime(390)
    expect([begun(), later.begun()]).toEqual([49, false])
    vi.advanceTimersByTime(20)
    expect([later.begun(), door.waiting, enter(door, '192.0.2.1').begun()]).toEqual([true, 0, true])
    expect(vi.getTimerCount()).toBe(1)
  })

  it('gives two sites where logins are guessed a turn each', () => {
    const door = admission({ isGuessing: () => true })
    const guesses = Array.from({ length: 40 }, (_, n) => enter(door, `192.0.2.${1 + (n % 2)}`))
    vi.advanceTimersByTime(100)
    expect(guesses.filter((one) => one.begun())).toHaveLength(20)
    vi.advanceTimersByTime(10_000 + 1_000)
    expect([door.open, door.turnedAway.get('handshake_timeout')]).toEqual([0, 40])
  })

  it('gives a handshake 10 s, its turn included', () => {
    const door = admission({ perSecond: 1 })
    const [slow, , quick] = [arrive(door), arrive(door), arrive(door, true)]
    door.complete(quick.socket.asSocket())
    const late = Array.from({ length: 20 }, () => arrive(door))
    vi.advanceTimersByTime(9_000)
    expect(slow.socket.destroyed).toBe(false)
    vi.advanceTimersByTime(2_000)
    expect([slow.socket.destroyed, quick.socket.destroyed, late[19]?.socket.destroyed]).toEqual([true, false, true])
    expect(door.turnedAway.get('handshake_timeout')).toBeGreaterThan(0)
    expect(door.turnedAway.get('handshake_rate')).toBeGreaterThan(0)
    expect(door.open).toBe(1)
  })
})
