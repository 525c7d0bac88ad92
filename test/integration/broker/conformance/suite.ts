import { describe, expect, it } from 'vitest'
import type { AclRule } from '../../../../shared/registry/port.ts'
import { PacketClient } from '../../../mqtt/packet-client.ts'
import type { Version } from '../../../mqtt/packets.ts'
import type { Way } from '../../../mqtt/way.ts'
import { BEHAVIOURS, type Cast } from './behaviours.ts'
import { pahoPython } from './paho-client.ts'
import { mqttJs } from './test-client.ts'

/**
 * What Eclipse paho's interoperability suite looks at, of MQTT 3.1.1 and of 5: the same behaviours on every target, with
 * two client libraries. Clients do not log in, as that suite does not: they are the application {@link SUITE_APPLICATION}.
 */
export interface Target {
  readonly name: string
  /** Starts the broker of a test. Publishers use `one`, subscribers `two`, which may be another node. */
  start(): Promise<{ readonly one: Way; readonly two: Way }>
}

export const SUITE_APPLICATION = 'suite'

export const SUITE_RULES: readonly AclRule[] = [
  { effect: 'allow', action: 'publish', topic: '#' },
  { effect: 'allow', action: 'subscribe', topic: '#' },
  { effect: 'deny', action: 'subscribe', topic: 'test/nosubscribe' },
]

export function describeConformance(target: Target): void {
  describe.each([mqttJs, pahoPython])(`${target.name}: $name`, (stack) => {
    describe.each([4, 5] as const)('MQTT %i (3.1.1 is 4)', (version) => {
      const check = it.skipIf(!stack.isThere)
      const start = async (): Promise<Cast> => {
        const client = stack.start(version)
        return { ...(await target.start()), a: client(), b: client(), version }
      }
      for (const [name, behaviour] of Object.entries(BEHAVIOURS)) {
        check(`${name}${stack.hint}`, async () => behaviour(await start()))
      }
    })
  })
  describe.each([4, 5] as const)(`${target.name}: packets that no library sends, MQTT %i (3.1.1 is 4)`, (version) => {
    for (const [name, behaviour] of Object.entries(PACKETS)) {
      it(name, async () => behaviour((await target.start()).one, version))
    }
  })
}

const PACKETS: Readonly<Record<string, (way: Way, version: Version) => Promise<void>>> = {
  'a second CONNECT closes the connection [MQTT-3.1.0-2]': async (way, version) => {
    const client = new PacketClient(way, version)
    expect(await client.connect({ clientId: 'myclientid' })).toBe(0)
    client.send({ cmd: 'connect', clientId: 'myclientid', protocolVersion: version, protocolId: 'MQTT', clean: true })
    await client.closed()
    expect(client.packets.filter(({ cmd }) => cmd === 'connack')).toHaveLength(1)
  },

  'another protocol name is refused [MQTT-3.1.2-1]': async (way, version) => {
    const client = new PacketClient(way, version)
    // The writer of the packet knows only the two right names.
    client.send(Buffer.from([0x10, 11, 0, 2, 0x68, 0x6a, version, 2, 0, 0, 0, 1, 0x63]))
    await client.closed()
    expect(client.packets).toEqual([])
  },

  'an empty client id gets a name of its own': async (way, version) => {
    const client = new PacketClient(way, version)
    expect(await client.connect({ clientId: '', clean: true })).toBe(0)
    expect(await client.subscribe(['TopicA', 1])).toEqual([1])
  },

  'an empty client id with a session to keep is refused in 3.1.1 [MQTT-3.1.3-8] and named in 5': async (
    way,
    version,
  ) => {
    const client = new PacketClient(way, version)
    // The writer of packets refuses to write it.
    const properties = version === 5 ? [0] : []
    const body = [0, 4, 0x4d, 0x51, 0x54, 0x54, version, 0, 0, 0, ...properties, 0, 0]
    client.send(Buffer.from([0x10, body.length, ...body]))
    const [answer] = await client.matching(({ cmd }) => cmd === 'connack')
    expect(answer).toMatchObject(version === 5 ? { reasonCode: 0 } : { returnCode: 2 })
    if (version === 5) expect(answer).toHaveProperty('properties.assignedClientIdentifier', expect.stringMatching(/./))
    else await client.closed()
  },
}
