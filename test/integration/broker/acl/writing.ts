import { leaves, writes, type Writing } from './attacks.ts'
import type { AclCase } from './stage.ts'

type Attack = AclCase['attack']

const rules = (name: string, attack: Attack): AclCase => ({ name, guard: 'rules', attack })
/** What begins so goes to nobody, even past the authorizer. */
const more = (name: string, attack: Attack): AclCase => ({ name, guard: 'more', attack })
const RESERVED = /^\$(SYS|share)\//

/** A device that is a/2 publishes. */
const DEVICE: readonly [hole: string, topic: string, Writing?][] = [
  ['the status of another device', 't/a/1/status'],
  ['the status of another device, kept there', 't/a/1/status', { retain: true }],
  ['the status of another device, at QoS 0', 't/a/1/status', { qos: 0 }],
  ['the status of another device, at QoS 2', 't/a/1/status', { qos: 2 }],
  ['the telemetry of another device', 't/a/1/telemetry'],
  ['the telemetry of another device, at QoS 0', 't/a/1/telemetry', { qos: 0 }],
  ['the telemetry of another device, at QoS 2', 't/a/1/telemetry', { qos: 2 }],
  ['a stream of another device', 't/a/1/telemetry/temperature'],
  ['another tenant', 't/b/1/telemetry'],
  ['a device whose name begins with its own', 't/a/22/status'],
  ['a command to itself', 't/a/2/cmd/x'],
  ['a command to itself, without a level below', 't/a/2/cmd'],
  ['a command to another', 't/a/1/cmd/reboot'],
  ['a notice to itself', 't/a/2/notice'],
  ['below its notices', 't/a/2/notice/x'],
  ['outside of t', 'house/door'],
  ['case: the root', 'T/a/2/status'],
  ['case: the tenant', 't/A/2/status'],
  ['lookalike: a Cyrillic letter in the tenant', 't/\u0430/2/status'],
  ['an empty level before', '/t/a/2/status'],
  ['an empty level between', 't/a//2/status'],
  ['a $ topic', '$house/door'],
  ['$SYS', '$SYS/broker/uptime'],
  ['$share', '$share/g/t/a/1/cmd/x'],
  ['$CONTROL', '$CONTROL/dynamic-security/v1'],
]

/** An application with these rules publishes. */
const APPLICATION: readonly [hole: string, rules: readonly string[], topic: string][] = [
  ['no rules allow nothing (CVE-2018-12550)', [], 'house/door'],
  ['who may read may not publish for that', ['allow subscribe #'], 'house/door'],
  ['+ is one level', ['allow publish house/+'], 'house/a/b'],
  ['a rule for below is not one for beside', ['allow publish house/#'], 'houses/door'],
  ['a deny rule behind the one that allows', ['allow publish #', 'deny publish house/safe'], 'house/safe'],
  ['a deny rule before the one that allows', ['deny publish house/safe', 'allow publish #'], 'house/safe'],
  ['a deny rule and the level above it', ['allow publish #', 'deny publish house/#'], 'house'],
  ['case', ['allow publish house/#'], 'House/door'],
  ['a placeholder in a rule is a word', ['allow publish house/%u'], 'house/intruder'],
  ['# is not for $ topics', ['allow publish #'], '$house/door'],
]

const WILLS: readonly [hole: string, topic: string][] = [
  ['the status of another device', 't/a/1/status'],
  ['a command to another device', 't/a/1/cmd/reboot'],
  ['a command to itself', 't/a/2/cmd/x'],
  ['the telemetry of another device', 't/a/1/telemetry'],
  ['another tenant', 't/b/1/status'],
  ['outside of t', 'house/door'],
  ['$SYS', '$SYS/x/new/clients'],
]

export const WRITING: readonly AclCase[] = [
  ...DEVICE.map(([hole, topic, writing]) =>
    (RESERVED.test(topic) ? more : rules)(`a device publishes: ${hole}: ${topic}`, (stage) =>
      writes(stage, 'a/2', topic, writing),
    ),
  ),
  ...APPLICATION.map(([hole, allowed, topic]) =>
    rules(`an application publishes: ${hole}`, (stage) => writes(stage, stage.application(...allowed), topic)),
  ),
  ...WILLS.flatMap(([hole, topic]) =>
    [false, true].map((retain) =>
      rules(`a will${retain ? ', retained' : ''}: ${hole}: ${topic}`, (stage) => leaves(stage, 'a/2', topic, retain)),
    ),
  ),
  rules('a will of an application without rules (CVE-2018-12550)', (stage) =>
    leaves(stage, stage.application(), 'house/door'),
  ),

  rules('an empty retained message removes what another device said', async (stage) => {
    const victim = await stage.client('a/1')
    await victim.publish('t/a/1/status', stage.secret, true)
    const intruder = await stage.client('a/2')
    await intruder.publish('t/a/1/status', '', true)
    const witness = await stage.client('app', { clientId: `witness-${stage.run}` })
    await witness.subscribe(['t/a/1/status', 1])
    await stage.fence(witness)
    return stage.leaks(witness).length === 1 ? [] : ['removed']
  }),

  more('$SYS/{node}/new/clients tells the broker that a client is connected elsewhere', async (stage) => {
    const victim = await stage.client('a/1', { clientId: 'victim' })
    const intruder = await stage.client('a/2')
    for (const id of ['victim', 'a/1/victim']) await intruder.publish('$SYS/another-node/new/clients', id)
    await stage.fence()
    victim.send({ cmd: 'pingreq' })
    await victim.matching(({ cmd }) => cmd === 'pingresp')
    return victim.isClosed ? ['the client was thrown out'] : []
  }),
]
