import { reads, type Reading } from './attacks.ts'
import type { AclCase, Stage } from './stage.ts'

/** A device that is a/2 subscribes; somebody publishes to the topic, which is not for it. */
const DEVICE: readonly [hole: string, filter: string, topic: string][] = [
  ['wildcard: everything', '#', 't/a/1/cmd/x'],
  ['wildcard: as many levels as a command has', '+/+/+/+/+', 't/a/1/cmd/x'],
  ['wildcard: all of t', 't/#', 't/a/1/cmd/x'],
  ['wildcard: the commands of all devices', 't/+/+/cmd/#', 't/b/1/cmd/x'],
  ['wildcard: the commands of its tenant, its own among them', 't/a/+/cmd/#', 't/a/1/cmd/x'],
  ['wildcard: its name in every tenant', 't/+/2/cmd/#', 't/b/2/cmd/x'],
  ['wildcard: in the first level', '+/a/1/cmd/x', 't/a/1/cmd/x'],
  ['containment: everything below its own prefix', 't/a/2/#', 't/a/2/status'],
  ['containment: every kind below its own prefix', 't/a/2/+', 't/a/2/status'],
  ['containment: below notice', 't/a/2/notice/#', 't/a/2/notice/x'],
  ['another device', 't/a/1/cmd/x', 't/a/1/cmd/x'],
  ['another device, with its tail', 't/a/1/cmd/#', 't/a/1/cmd/x'],
  ['the telemetry of another device', 't/a/1/telemetry', 't/a/1/telemetry'],
  ['another tenant', 't/b/1/cmd/#', 't/b/1/cmd/x'],
  ['a device whose name begins with its own', 't/a/22/cmd/#', 't/a/22/cmd/x'],
  ['a level that begins like one of its own', 't/a/2/cmdx/#', 't/a/2/cmdx/y'],
  ['case: another tenant', 't/A/2/cmd/#', 't/A/2/cmd/x'],
  ['case: another root', 'T/a/2/cmd/#', 'T/a/2/cmd/x'],
  ['lookalike: a Cyrillic letter in the tenant', 't/\u0430/2/cmd/#', 't/\u0430/2/cmd/x'],
  ['lookalike: a full-width digit in the device', 't/a/\uff12/cmd/#', 't/a/\uff12/cmd/x'],
  ['lookalike: a space of no width', 't/a\u200b/2/cmd/#', 't/a\u200b/2/cmd/x'],
  ['an empty level before', '/t/a/2/cmd/#', '/t/a/2/cmd/x'],
  ['an empty level between', 't/a/2//cmd/#', 't/a/2//cmd/x'],
  ['$SYS: all of it', '$SYS/#', '$SYS/x'],
  ['$SYS: what others connect as', '$SYS/+/new/clients', '$SYS/x/new/clients'],
  ['$SYS: all topics of two levels', '$SYS/+', '$SYS/x'],
  ['$CONTROL', '$CONTROL/#', '$CONTROL/x'],
  ['$share: everything', '$share/g/#', 't/a/1/cmd/x'],
  ['$share: another device', '$share/g/t/a/1/cmd/#', 't/a/1/cmd/x'],
  ['$share: its own commands', '$share/g/t/a/2/cmd/#', '$share/g/t/a/2/cmd/x'],
  ['$queue', '$queue/t/a/1/cmd/#', 't/a/1/cmd/x'],
]

const OPEN = 'allow subscribe #'
const NOT_THE_SAFE = 'deny subscribe house/safe/#'

/** An application with these rules subscribes. */
const APPLICATION: readonly [hole: string, rules: readonly string[], filter: string, topic: string, Reading?][] = [
  ['no rules allow nothing (CVE-2018-12550): everything', [], '#', 'house/door'],
  ['no rules allow nothing (CVE-2018-12550): one topic', [], 'house/door', 'house/door'],
  ['who may publish may not read for that', ['allow publish house/#'], 'house/door', 'house/door'],
  ['containment: # under +', ['allow subscribe house/+'], 'house/#', 'house/a/b'],
  ['containment: + in place of a word', ['allow subscribe house/+/temp'], 'house/+/+', 'house/a/safe'],
  ['containment: # above the rule', ['allow subscribe house/#'], '#', 'office/door'],
  ['containment: + above the rule', ['allow subscribe house/#'], '+/door', 'office/door'],
  ['containment: two rules do not make a wildcard', ['allow subscribe h/a', 'allow subscribe h/b'], 'h/+', 'h/c'],
  ['a deny rule behind the one that allows', [OPEN, NOT_THE_SAFE], 'house/safe/#', 'house/safe/x'],
  ['a deny rule before the one that allows', [NOT_THE_SAFE, OPEN], 'house/safe/#', 'house/safe/x'],
  ['a deny rule within #', [OPEN, NOT_THE_SAFE], '#', 'house/safe/x', { granted: true }],
  ['a deny rule within +', [OPEN, NOT_THE_SAFE], '+/safe/+', 'house/safe/x', { granted: true }],
  ['a deny rule and the level above it', [OPEN, NOT_THE_SAFE], 'house/+', 'house/safe', { granted: true }],
  ['a deny rule and a retained message', [OPEN, NOT_THE_SAFE], '#', 'house/safe/x', { granted: true, retained: true }],
  ['two deny rules that cover it together', [OPEN, 'deny subscribe h', 'deny subscribe h/+/#'], 'h/#', 'h/a'],
  ['case', ['allow subscribe house/#'], 'House/#', 'House/door'],
  ['$share: more than it may read', ['allow subscribe house/#'], '$share/g/#', 'office/door'],
  ['$share: what it may not read', ['allow subscribe house/#'], '$share/house/office/#', 'office/door'],
  ['$share: a share of the share of another', ['allow subscribe #'], '$share/g/$share/h/office', '$share/h/office'],
  ['$share: a topic that begins with $', ['allow subscribe #'], '$share/g/$SYS/#', '$SYS/x'],
  ['$share: a deny rule for it', ['allow subscribe #', 'deny subscribe office/#'], '$share/g/office/+', 'office/door'],
  ['lookalike: a letter and its accent apart', ['allow subscribe caf\u00e9/#'], 'cafe\u0301/#', 'cafe\u0301/x'],
  ['a placeholder in a rule is a word: %u', ['allow subscribe house/%u/#'], 'house/intruder/#', 'house/intruder/x'],
  ['a placeholder in a rule is a word: %c', ['allow subscribe house/%c'], 'house/door', 'house/door'],
]

/** Client ids that brokers put into rules (CVE-2017-7650) or into names of sessions. */
const CLIENT_IDS = ['#', '+', '+/#', '/', 'a/1', '../1/x', '%u', '*', "'; --"]

export const READING: readonly AclCase[] = [
  ...DEVICE.map(([hole, filter, topic]) => ({
    name: `a device subscribes: ${hole}: ${filter}`,
    // In MQTT 5 the gate itself knows shared subscriptions, and refuses them.
    guard: filter.startsWith('$share') ? ('more' as const) : ('rules' as const),
    attack: (stage: Stage) => reads(stage, 'a/2', filter, topic),
  })),
  ...APPLICATION.map(([hole, rules, filter, topic, reading]) => ({
    name: `an application subscribes: ${hole}`,
    guard: 'rules' as const,
    attack: (stage: Stage) => reads(stage, stage.application(...rules), filter, topic, reading),
  })),
  ...CLIENT_IDS.map((clientId) => ({
    name: `a client id is no pattern (CVE-2017-7650): ${clientId}`,
    guard: 'rules' as const,
    attack: (stage: Stage) => reads(stage, 'a/2', 't/a/1/cmd/#', 't/a/1/cmd/x', { connect: { clientId } }),
  })),
]
