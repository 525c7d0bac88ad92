import { describe, expect, it } from 'vitest'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { logIn, PacketClient } from '../../mqtt/packet-client.ts'
import { frame, packet, sized, type Version } from '../../mqtt/packets.ts'

const TELEMETRY = 't/a/1/telemetry'
const MiB = 1024 * 1024

async function letters({ log }: Harness, count: number) {
  await expect.poll(() => log.letters.length).toBeGreaterThanOrEqual(count)
  return log.letters.map(({ stage, code, who, topic, payload }) => ({ stage, code, who, topic, bytes: payload.length }))
}

describe('a refused PUBLISH', () => {
  it.each([1, 2])('of QoS %i at the head of a queue does not block the messages behind it', async (qos) => {
    const harness = await startBroker()
    const client = await logIn(harness.port)
    const payloads = [
      packet.publish('t/b/1/telemetry', '{"x":1}', { qos, id: 1 }),
      packet.publish(TELEMETRY, Buffer.alloc(MiB, 'x'), { qos, id: 2 }),
      packet.publish(TELEMETRY, '{"temperature":1}', { qos, id: 3 }),
      packet.publish(TELEMETRY, '{"temperature":2}', { qos, id: 4 }),
    ]
    client.send(...payloads)
    const ack = qos === 1 ? 'puback' : 'pubrec'
    expect((await client.packetsUpTo(5)).slice(1)).toEqual([1, 2, 3, 4].map((id) => `${ack} ${id}`))
    if (qos === 2) {
      client.send(...[1, 2, 3, 4].map((id) => packet.pubrel(id)))
      expect((await client.packetsUpTo(9)).slice(5)).toEqual([1, 2, 3, 4].map((id) => `pubcomp ${id}`))
    }
    expect(harness.log.records.map(({ value }) => Buffer.from(value).toString())).toEqual([
      '{"temperature":1}',
      '{"temperature":2}',
    ])
    expect(await letters(harness, 2)).toEqual([
      { stage: 'publish', code: 'not_authorised', who: 'a/1', topic: 't/b/1/telemetry', bytes: 7 },
      { stage: 'publish', code: 'payload_too_large', who: 'a/1', topic: TELEMETRY, bytes: 4096 },
    ])
    expect(await harness.metric('sluice_broker_publishes_refused_total')).toBe(2)
  })

  it('of 10 MB is acknowledged like any other, and the connection goes on', async () => {
    const harness = await startBroker()
    const client = await logIn(harness.port)
    const body = Buffer.alloc(MiB, 'x')
    // Written piece by piece: the client is in this process too.
    client.send(
      Buffer.from([
        0x32,
        0x80 | ((10 * MiB) & 0x7f),
        0x80 | (((10 * MiB) >> 7) & 0x7f),
        0x80 | (((10 * MiB) >> 14) & 0x7f),
        (10 * MiB) >> 21,
      ]),
    )
    client.send(sized(TELEMETRY), Buffer.from([0, 9]))
    let rest = 10 * MiB - TELEMETRY.length - 4
    for (; rest > 0; rest -= body.length) {
      await new Promise<void>((resolve) => client.socket.write(body.subarray(0, Math.min(rest, MiB)), () => resolve()))
    }
    expect((await client.packetsUpTo(2)).at(-1)).toBe('puback 9')
    expect(harness.log.letters.map(({ code, payload }) => [code, payload.length])).toEqual([
      ['payload_too_large', 4096],
    ])
    client.send(packet.publish(TELEMETRY, '{}', { qos: 1, id: 10 }))
    expect((await client.packetsUpTo(3)).at(-1)).toBe('puback 10')
  })

  it.each([
    ['t/a/1/telemetri', 'topic_unknown', 'level 4 is "telemetri": it must be telemetry, status, cmd or notice; was "telemetry" meant?'], // prettier-ignore
    ['t/a/1/telemetry/x/y', 'topic_unknown', 'level 6, "y", is one too many'],
    ['t/a/1/telemetry/with%20space', 'topic_encoding_invalid', 'the stream "with%20space"'],
    ['$SYS/x/new/clients', 'topic_reserved', 'level 1 is "$SYS"'],
    ['t/a/1/cmd/x', 'not_authorised', 'denied by deny publish t/a/1/cmd/#'],
    ['t/b/1/telemetry', 'not_authorised', 'the tenant "b" is not its own'],
    ['t/a/2/telemetry', 'not_authorised', 'the device "2" is not its own: its topics begin with t/a/1/'],
    ['t/a/1/telemetry/'.padEnd(1025, 'y'), 'topic_invalid', 'it has 1025 bytes: at most 1024'],
    ['t/a/1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p', 'topic_invalid', 'it has 19 levels: at most 16'],
  ])('to %.40s is acknowledged, dropped and listed as %s, with the part that is wrong', async (topic, code, why) => {
    const harness = await startBroker()
    const client = await logIn(harness.port)
    client.send(packet.publish(topic, 'x', { qos: 1, id: 3 }), packet.publish(topic, 'x'), packet.pingreq)
    expect((await client.packetsUpTo(3)).slice(1).toSorted()).toEqual(['pingresp', 'puback 3'])
    const said = expect.stringContaining(why) as string
    expect((await letters(harness, 2)).map((letter) => letter.code)).toEqual([code, code])
    for (const { detail } of harness.log.letters) expect(detail).toEqual(said)
    expect(harness.log.records).toEqual([])
    expect(await harness.metric('sluice_broker_qos0_refused_total')).toBe(1)
  })

  it('closes the connection with REFUSED_PUBLISH=close', async () => {
    const harness = await startBroker({ REFUSED_PUBLISH: 'close' })
    const client = await logIn(harness.port)
    client.send(packet.publish('t/b/1/telemetry', 'x', { qos: 1, id: 3 }))
    await client.closed()
    expect(await client.packetsUpTo(1)).toEqual(['connack 0 0'])
    expect((await letters(harness, 1)).map(({ code }) => code)).toEqual(['not_authorised'])
  })
})

describe('a refused CONNECT', () => {
  it.each<[string, Buffer, string | undefined, string, string, Version?]>([
    ['a wrong secret', packet.connect({ password: 'x' }), 'connack 0 4', 'login_failed', 'a/1'],
    ['an unknown device', packet.connect({ username: 'a/nobody' }), 'connack 0 4', 'login_failed', 'a/nobody'],
    [
      'no username',
      frame(0x10, sized('MQTT'), Buffer.from([4, 2, 0, 0]), sized('c')),
      'connack 0 5',
      'login_required',
      'anonymous',
    ],
    [
      'MQTT 5 without username',
      frame(0x10, sized('MQTT'), Buffer.from([5, 2, 0, 0, 2, 0x17, 0]), sized('new')),
      'connack 0 0x87',
      'login_required',
      'anonymous',
      5,
    ],
    [
      'an empty id without clean session',
      frame(0x10, sized('MQTT'), Buffer.from([4, 0xc0, 0, 0]), sized(''), sized('a/1'), sized('s')),
      'connack 0 2',
      'client_id_invalid',
      'a/1',
    ],
    ['more than 4 KB', packet.connect({ password: 'x'.repeat(4096) }), undefined, 'protocol_violation', '127.0.0.1'],
    ['another packet', packet.pingreq, undefined, 'protocol_violation', '127.0.0.1'],
  ])('for %s is answered and listed', async (_name, bytes, answer, code, who, version) => {
    const harness = await startBroker()
    const client = new PacketClient(harness.port, version)
    client.send(bytes)
    await client.closed()
    expect(await client.packetsUpTo(1)).toEqual(answer === undefined ? [] : [answer])
    expect(await letters(harness, 1)).toEqual([{ stage: 'connect', code, who, topic: undefined, bytes: 0 }])
  })
})
