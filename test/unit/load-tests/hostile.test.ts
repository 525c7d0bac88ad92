import fc from 'fast-check'
import { parser, type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { isComplaint } from '../../../load-tests/hostile/fuzz.ts'
import { hostileConnection, mutated, randomFrom, vocabularyOf } from '../../../load-tests/hostile/mutations.ts'

const LOGIN = { tenant: 'fuzz', device: 'd-1', username: 'fuzz/d-1', secret: 'secret' }
const vocabulary = vocabularyOf(5, LOGIN, 'client')

function parsed(bytes: Buffer, protocolVersion: number): Packet[] {
  const found: Packet[] = []
  const reader = parser({ protocolVersion })
  reader.on('packet', (packet: Packet) => found.push(packet))
  reader.on('error', (error: Error) => {
    throw error
  })
  expect(reader.parse(bytes)).toBe(0)
  return found
}

describe('the vocabulary of the fuzzer', () => {
  it.each([4, 5] as const)('holds packets of every type that a client sends, in version %i', (version) => {
    const { login, packets } = vocabularyOf(version, LOGIN, 'client')
    expect(parsed(login, version)).toMatchObject([{ cmd: 'connect', username: LOGIN.username, clientId: 'client' }])
    const types = new Set(parsed(Buffer.concat(packets), version).map(({ cmd }) => cmd))
    expect([...types].sort()).toEqual([
      ...['connect', 'disconnect', 'pingreq', 'puback', 'pubcomp', 'publish', 'pubrec', 'pubrel'],
      ...['subscribe', 'unsubscribe'],
    ])
  })
})

describe('hostile connections', () => {
  it('are the same for a seed, and others for another', () => {
    const of = (seed: number): string => {
      const { writes, end } = hostileConnection(randomFrom(seed), vocabulary)
      return `${end} ${writes.map((bytes) => bytes.toString('hex')).join(' ')}`
    }
    fc.assert(fc.property(fc.integer(), (seed) => of(seed) === of(seed)))
    const different = new Set(Array.from({ length: 1_000 }, (_, seed) => of(seed)))
    expect(different.size).toBeGreaterThan(990)
  })

  it('end in every way, log in or not, and are cut within packets', () => {
    const all = Array.from({ length: 500 }, (_, seed) => hostileConnection(randomFrom(seed), vocabulary))
    expect(new Set(all.map(({ door }) => door))).toEqual(new Set(['mqtt', 'tls', 'ws']))
    expect(new Set(all.map(({ end }) => end))).toEqual(new Set(['half-close', 'reset', 'leave', 'wait']))
    const logsIn = all.filter(({ writes }) => Buffer.concat(writes).indexOf(vocabulary.login) === 0)
    expect(logsIn.length).toBeGreaterThan(200)
    expect(logsIn.length).toBeLessThan(450)
    expect(all.some(({ writes }) => (writes[0]?.length ?? 0) < 5)).toBe(true)
  })

  it('change packets, usually, and never the one that they were given', () => {
    const before = Buffer.from(vocabulary.login)
    const changed = Array.from({ length: 200 }, (_, seed) => mutated(randomFrom(seed), vocabulary.login))
    expect(changed.filter((bytes) => !bytes.equals(before)).length).toBeGreaterThan(180)
    expect(vocabulary.login.equals(before)).toBe(true)
  })
})

describe('a line of the broker', () => {
  it.each([
    ['', false],
    ['{"level":"info","msg":"ready"}', false],
    ['{"level":"warn","msg":"slow"}', false],
    ['{"level":"error","msg":"a connection failed"}', true],
    ['{"level":"fatal"}', true],
    ['(node:1) MaxListenersExceededWarning: Possible EventEmitter memory leak', true],
    ['Uncaught:', true],
  ])('%j is a complaint: %s', (line, expected) => {
    expect(isComplaint(line)).toBe(expected)
  })
})
