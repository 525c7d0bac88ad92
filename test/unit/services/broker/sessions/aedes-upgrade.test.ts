import { describe, expect, it } from 'vitest'
import { Aedes, type Client } from 'aedes'
import type { Logger } from '../../../../../shared/process/logger.ts'
import { internalsOf, type Persistence } from '../../../../../services/broker/sessions/aedes-internals.ts'
import { StoredPersistence } from '../../../../../services/broker/sessions/stored-persistence.ts'
import { SessionEmitter } from '../../../../../services/broker/sessions/session-emitter.ts'
import { packet } from '../../../../mqtt/packets.ts'
import { calledOn, manifestOf, start, turn } from './installed-aedes.ts'

/*
 * What sessions/ uses of aedes and aedes does not declare, held against the aedes that is installed. A new version fails
 * here first: read what changed, mend aedes-internals.ts and what uses it, then raise the version.
 */

const INSTALLED = {
  aedes: /^1\.2\.0$/,
  'aedes-packet': /^4\.0\./,
  'aedes-persistence': /^11\.0\./,
  mqemitter: /^7\.1\./,
  'mqtt-packet': /^9\.0\./,
}

describe('the versions', () => {
  it.each(Object.entries(INSTALLED))('%s is one that was read', (name, version) => {
    expect(manifestOf(name).version).toMatch(version)
  })

  it('aedes is pinned: it changes its inside in any version', () => {
    expect(manifestOf('').dependencies['aedes']).toMatch(/^\d+\.\d+\.\d+$/)
  })
})

describe('members of a client', () => {
  it('are there as aedes-internals.ts says', async () => {
    const { aedes, connect } = await start()
    const { client, stream } = await connect(packet.connect({ clientId: 'x' }))
    stream.deliver(packet.subscribe(1, ['a/+', 1], ['toString', 0]))
    await turn()
    expect(client.conn).toBe(stream)
    expect(client.closed).toBe(false)
    expect(client.broker.clients['x']).toBe(client)
    expect(aedes.clients['x']).toBe(client)
    expect(Object.keys(client.subscriptions)).toEqual(['a/+', 'toString'])
    expect(client.subscriptions['a/+']).toMatchObject({ qos: 1 })
    expect(client.will ?? null).toBeNull()
    expect(client._nextId).toBeGreaterThan(0)
    expect(client.deliverQoS).toHaveLength(2)
  })

  it('a subscription at QoS 0 calls `deliver0`, as it was when the subscription was made', async () => {
    const { aedes, connect } = await start()
    const { client, stream } = await connect(packet.connect({ clientId: 'x' }))
    const came: string[] = []
    client.deliver0 = ({ topic, qos }, done) => (came.push(`${topic} ${qos}`), done())
    stream.deliver(packet.subscribe(1, ['a/b', 0]))
    await turn()
    const message = { cmd: 'publish', topic: 'a/b', payload: 'on', qos: 1, retain: false, dup: false } as const
    await new Promise<void>((resolve) => aedes.publish(message, () => resolve()))
    expect(came).toEqual(['a/b 1'])
  })

  it('the id of the next message is `_nextId`', async () => {
    const { connect } = await start()
    const { client, written } = await connect(packet.connect({ clientId: 'x' }))
    client._nextId = 777
    client.deliverQoS(
      { cmd: 'publish', topic: 'a/b', payload: Buffer.from('on'), qos: 1, retain: false },
      () => undefined,
    )
    await turn()
    expect(written.at(-1)?.bytes.readUInt16BE(7)).toBe(777)
  })

  it('`_parser` emits each packet once, in order and with its length, before aedes handles it', async () => {
    const handled: string[] = []
    const { aedes, connect } = await start({
      authorizePublish: (_client, { topic }, done) => (handled.push(topic), done(null)),
    })
    const seen: [string, number | undefined, number][] = []
    aedes.on('client', (client) => {
      internalsOf(client)._parser.prependListener('packet', ({ cmd, length }) =>
        seen.push([cmd, length, handled.length]),
      )
    })
    const { stream } = await connect(packet.connect({ clientId: 'x' }))
    for (const topic of ['a', 'b']) stream.deliver(packet.publish(topic, 'on'))
    stream.deliver(packet.subscribe(1, ['a/b', 0]))
    await turn()
    expect(seen.map(([cmd, length]) => [cmd, length])).toEqual([
      ['publish', 5],
      ['publish', 5],
      ['subscribe', 8],
    ])
    expect(seen[0]?.[2]).toBe(0)
    expect(handled).toEqual(['a', 'b'])
  })

  it('`will` is the packet that aedes asks about, with what was set on it, before `close` calls back', async () => {
    const asked: unknown[] = []
    const { connect } = await start({ authorizePublish: (_client, will, done) => (asked.push(will), done(null)) })
    const will = Buffer.from('101d00044d5154540406000000017800056c6173742f00026f6e', 'hex')
    will[1] = will.length - 2
    const { client } = await connect(will)
    const own = Object.assign(client.will ?? {}, { properties: 'ours' })
    await new Promise<void>((resolve) => client.close(resolve))
    expect(asked[0]).toBe(own)
    // Called again, it calls back at once.
    await new Promise<void>((resolve) => client.close(resolve))
  })
})

describe('methods of aedes that are replaced', () => {
  it('`outgoingUpdate` is given the very packet that is written then, but for a message with the retain flag', async () => {
    const { aedes, connect } = await start()
    const { client, written } = await connect(packet.connect({ clientId: 'x', clean: false }))
    const asked: unknown[] = []
    aedes.persistence.outgoingUpdate = async (_client, waiting) => {
      asked.push(Object.assign(waiting, { topic: 'other' }).messageId)
      return Promise.resolve()
    }
    client._nextId = 7
    const message = { cmd: 'publish', topic: 'a/b', payload: Buffer.from('on'), qos: 1 }
    for (const retain of [false, true]) client.deliverQoS({ ...message, retain }, () => undefined)
    await turn()
    expect(asked).toEqual([7])
    expect(written.slice(-2).map(({ bytes }) => bytes.toString('latin1', 4).slice(0, 3))).toEqual(['oth', 'a/b'])
  })

  it('`registerClient` runs at the end of a CONNECT, and its prototype has it', async () => {
    expect(Aedes.prototype).toHaveProperty('registerClient')
    const { aedes, connect } = await start()
    const registered: Client[] = []
    const { registerClient } = aedes
    aedes.registerClient = (client) => {
      registered.push(client)
      registerClient.call(aedes, client)
    }
    const { client } = await connect(packet.connect({ clientId: 'x' }))
    expect(registered).toEqual([client])
  })

  it.each<[keyof Persistence, number]>([
    ['addSubscriptions', 3],
    ['createRetainedStreamCombi', 1],
    ['outgoingUpdate', 3],
  ])(
    '`persistence.%s` takes %i arguments, a callback that is left out among them, and aedes calls it',
    async (name, arity) => {
      const { aedes } = await start()
      expect(aedes.persistence[name]).toHaveLength(arity)
      expect(calledOn('persistence')).toContain(name)
    },
  )
})

describe('what stands in for parts of aedes', () => {
  it('our storage answers every call that aedes makes', () => {
    // `client.publish` alone calls it, and nobody calls that.
    const unused = ['outgoingEnqueue']
    const own = Object.getOwnPropertyNames(StoredPersistence.prototype)
    expect(calledOn('persistence').filter((name) => !own.includes(name) && !unused.includes(name))).toEqual(
      ['constructor'].slice(1),
    )
    const storage = new StoredPersistence({} as never, {} as Logger, {} as never)
    // aedes looks at the kind of this function.
    expect(storage.setup.constructor.name).toBe('AsyncFunction')
  })

  it('our emitter answers every call that aedes makes', () => {
    const own = Object.getOwnPropertyNames(SessionEmitter.prototype)
    expect(calledOn('mq').filter((name) => !own.includes(name))).toEqual([])
  })
})

describe('what aedes does in one turn', () => {
  it('asks `authorizeForward` while a message is handed out, and writes the very payload that it was given', async () => {
    const emitter = new SessionEmitter()
    const payload = Buffer.from('on')
    const asked: [boolean, boolean][] = []
    const { aedes, connect } = await start({
      mq: emitter,
      authorizeForward: (_client, message) => {
        asked.push([emitter.identity !== undefined, message.payload === payload])
        return message
      },
    })
    const { stream, written } = await connect(packet.connect({ clientId: 'x' }))
    stream.deliver(packet.subscribe(1, ['a/b', 1], ['a/+', 0]))
    await turn()
    for (const qos of [0, 1] as const)
      aedes.publish({ cmd: 'publish', topic: 'a/b', payload, qos, retain: false, dup: false }, () => undefined)
    await turn()
    expect(asked).toEqual([
      [true, true],
      [true, true],
    ])
    const payloads = written.filter(({ header }) => header >> 4 === 3).map((it) => it.payload)
    expect(payloads.map((it) => it === payload)).toEqual([true, true])
  })

  it('hands a message to one client once, by the number of its emitter', async () => {
    const { aedes, connect } = await start()
    const { client } = await connect(packet.connect({ clientId: 'x' }))
    const message = { cmd: 'publish', topic: 'a/b', payload: Buffer.from('on'), qos: 0, retain: false, brokerId: 'e' }
    const asked: number[] = []
    aedes.authorizeForward = (_client, { brokerCounter }) => void asked.push(brokerCounter)
    for (const brokerCounter of [2, 2, 1, 3]) client.deliverQoS({ ...message, brokerCounter }, () => undefined)
    for (const _ of [1, 2]) client.deliverQoS({ ...message, brokerId: undefined, brokerCounter: 1 }, () => undefined)
    expect(asked).toEqual([2, 3, 1, 1])
  })

  it('tells of a subscription and asks for its retained messages, with the options that were set', async () => {
    const { aedes, connect } = await start()
    const steps: unknown[] = []
    aedes.on('subscribe', (subscriptions) => {
      steps.push(...subscriptions)
      queueMicrotask(() => steps.push('turn'))
    })
    const create = aedes.persistence.createRetainedStreamCombi.bind(aedes.persistence)
    aedes.persistence.createRetainedStreamCombi = (filters) => (steps.push(filters), create(filters))
    const { client, stream } = await connect(packet.connect({ clientId: 'x' }))
    client._parser.prependListener('packet', (read) => {
      if (read.cmd === 'subscribe') Object.assign(read.subscriptions[0] ?? {}, { nl: true, rap: true, rh: 2 })
    })
    stream.deliver(packet.subscribe(1, ['a/b', 1]))
    await turn()
    expect(steps).toMatchObject([{ topic: 'a/b', rh: 2 }, ['a/b'], 'turn'])
    expect(client.subscriptions['a/b']).toMatchObject({ qos: 1, nl: true, rap: true, rh: 2 })
  })
})
