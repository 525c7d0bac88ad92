import type { PacketClient } from '../../../mqtt/packet-client.ts'
import type { AclCase, Breaches, Stage } from './stage.ts'

const rules = (name: string, attack: AclCase['attack']): AclCase => ({ name, guard: 'rules', attack })

const ALLOWED = 't/a/2/status'
const OTHERS = 't/a/1/status'

/** Publishes at QoS 1 with alias 1 and waits for the answer; an empty topic stands for what the alias stands for. */
async function publish(client: PacketClient, topic: string, payload: string, messageId: number): Promise<void> {
  const properties = { topicAlias: 1 }
  client.send({ cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false, messageId, properties })
  await client.matching((it) => it.cmd === 'puback' && it.messageId === messageId)
}

/** What the admin got of a secret that was published as `play` does it. */
async function seen(stage: Stage, login: string, play: (intruder: PacketClient) => Promise<void>): Promise<Breaches> {
  const admin = await stage.admin()
  await admin.subscribe(['#', 1])
  const intruder = await stage.client(login)
  await play(intruder)
  await stage.fence(intruder)
  await stage.fence()
  return stage.leaks(admin).slice(0, 1)
}

/** Holes that only MQTT 5 could have. */
export const VERSION_FIVE: readonly AclCase[] = [
  rules('a topic alias that is given with a topic that is refused', (stage) =>
    seen(stage, 'a/2', async (intruder) => {
      await publish(intruder, OTHERS, 'x', 1)
      await publish(intruder, '', stage.secret, 2)
    }),
  ),
  rules('a topic alias that stood for an allowed topic before', (stage) =>
    seen(stage, 'a/2', async (intruder) => {
      await publish(intruder, ALLOWED, 'x', 1)
      await publish(intruder, '', 'x', 2)
      await publish(intruder, OTHERS, 'x', 3)
      await publish(intruder, '', stage.secret, 4)
    }),
  ),
  rules('a topic alias that stands for telemetry, then for that of another device', (stage) =>
    seen(stage, 'a/2', async (intruder) => {
      await publish(intruder, 't/a/2/telemetry', 'x', 1)
      await publish(intruder, 't/a/1/telemetry', 'x', 2)
      await publish(intruder, '', stage.secret, 3)
    }),
  ),
  rules('a topic alias whose rule is taken away', (stage) =>
    seen(stage, stage.application('allow publish house/#'), async (intruder) => {
      await publish(intruder, 'house/door', 'x', 1)
      await stage.changeRules()
      await publish(intruder, '', stage.secret, 2)
    }),
  ),
  rules('a will with a delay, on the topic of another', async (stage) => {
    const properties = { willDelayInterval: 1 }
    const will = { topic: OTHERS, payload: stage.secret, qos: 1 as const, retain: false, properties }
    const { code } = await stage.attempt({ username: 'a/2', password: Buffer.from('s'), will })
    return code === 0 ? ['accepted'] : []
  }),
  rules('a will with a delay, whose rule is taken away meanwhile', async (stage) => {
    const properties = { willDelayInterval: 1 }
    const will = { payload: stage.secret, qos: 1 as const, retain: false, properties }
    const kept = { properties: { sessionExpiryInterval: 60 } }
    const admin = await stage.admin()
    await admin.subscribe(['#', 1])
    const login = stage.application('allow publish house/#')
    const intruder = await stage.client(login, { ...kept, will: { ...will, topic: 'house/door' } })
    // Dies later, and may: when its will comes, the other would have come.
    const witness = await stage.client('app', { ...kept, will: { ...will, payload: 'over', topic: 'over' } })
    intruder.drop()
    await intruder.closed()
    // By then the broker has seen that the connection broke, and the will waits.
    for (let turn = 0; turn < 10; turn += 1) await stage.fence()
    await stage.changeRules()
    witness.drop()
    await admin.matching((it) => it.cmd === 'publish' && it.topic === 'over')
    await stage.fence()
    return stage.leaks(admin)
  }),
]
