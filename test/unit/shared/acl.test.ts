import { describe, expect, it } from 'vitest'
import { canPublish, canReceive, canSubscribe, checkRules, explain, MAX_RULES } from '../../../shared/acl.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { AclRule, Principal } from '../../../shared/registry/port.ts'

const device: Principal = { kind: 'device', name: 'acme/p1', tenant: 'acme', device: 'p1', uid: 'p1' }

/** `allow publish a/#` and so on. */
function rule(text: string): AclRule {
  const [effect, action, topic = ''] = text.split(' ')
  return {
    effect: effect === 'deny' ? 'deny' : 'allow',
    action: action === 'publish' ? 'publish' : 'subscribe',
    topic,
  }
}

function application(...rules: string[]): Principal {
  return { kind: 'application', name: 'app', rules: rules.map(rule) }
}

describe('devices', () => {
  it.each(['telemetry', 'telemetry/s', 'status', 'x/y/z', 'cmds', 'noticed', 'CMD', 'x/cmd'])(
    'publish to their own %j',
    (kind) => {
      expect(canPublish(device, `t/acme/p1/${kind}`)).toBe(true)
    },
  )

  it.each([
    't/acme/p1',
    't/acme/p1/cmd',
    't/acme/p1/cmd/x',
    't/acme/p1/cmd/',
    't/acme/p1/notice',
    't/acme/p1/notice/x',
    't/acme/p10/telemetry',
    't/acme/p/telemetry',
    't/acme/P1/telemetry',
    't/ACME/p1/telemetry',
    't/acme/p2/telemetry',
    't/other/p1/telemetry',
    't/acme//p1/telemetry',
    '/t/acme/p1/telemetry',
    'T/acme/p1/telemetry',
    't//acme/p1/telemetry',
    'acme/p1/telemetry',
    't/acme/p1 /telemetry',
    't/acmé/p1/telemetry',
    't/acme/p1/+',
    't/acme/p1/#',
    't/acme/p1/a\u0000',
    '$SYS/x',
    '$t/acme/p1/telemetry',
    '',
    '/',
    't',
    `t/acme/p1/${'x'.repeat(1100)}`,
  ])('do not publish to %j', (topic) => {
    expect(canPublish(device, topic)).toBe(false)
  })

  it.each(['cmd/#', 'cmd', 'cmd/x', 'cmd/+', 'cmd/+/y/#', 'notice'])('subscribe to their own %j', (kind) => {
    expect(canSubscribe(device, `t/acme/p1/${kind}`)).toBe(true)
  })

  it.each([
    '#',
    '+/#',
    't/#',
    't/acme/#',
    't/acme/p1/#',
    't/acme/p1/+',
    't/acme/+/cmd',
    't/+/p1/cmd/#',
    't/acme/p2/cmd/#',
    't/acme/p1/telemetry',
    't/acme/p1/status',
    't/acme/p1/notice/#',
    't/acme/p1/notice/x',
    't/acme/p1/cmdx',
    't/acme/p1/cmd*',
    't/acme/p10/cmd/#',
    't/acme/P1/cmd/#',
    '$SYS/#',
    '$share/g/t/acme/p1/cmd/#',
    '',
    't/acme/p1/cmd/#/x',
  ])('do not subscribe to %j', (filter) => {
    expect(canSubscribe(device, filter)).toBe(false)
  })

  it('receive what they may subscribe to, and nothing else', () => {
    for (const kind of ['cmd', 'cmd/a', 'cmd/a/b', 'notice']) expect(canReceive(device, `t/acme/p1/${kind}`)).toBe(true)
    for (const topic of ['t/acme/p1/telemetry', 't/acme/p1/notice/x', 't/acme/p2/cmd', 't/acme/p1', '$SYS/x']) {
      expect(canReceive(device, topic)).toBe(false)
    }
  })
})

describe('applications', () => {
  it.each([
    ['no rules', application(), 'a'],
    ['a rule for the other action', application('allow subscribe #'), 'a'],
    ['a rule for another topic', application('allow publish b/#'), 'a'],
    ['a rule in another case', application('allow publish A'), 'a'],
    ['a deny behind an allow', application('allow publish #', 'deny publish a/#'), 'a'],
    ['a deny before an allow', application('deny publish a/#', 'allow publish #', 'allow publish a'), 'a'],
    ['a reserved topic', application('allow publish #'), '$SYS/x'],
    ['a wildcard', application('allow publish #'), 'a/+'],
  ])('%s: may not publish', (_, principal, topic) => {
    expect(canPublish(principal, topic)).toBe(false)
    expect(explain(principal, 'publish', topic).allowed).toBe(false)
  })

  it.each([
    ['no rules', application(), 'a'],
    ['a rule for the other action', application('allow publish #'), 'a'],
    ['an allow of a part', application('allow subscribe a/b'), 'a/+'],
    ['an allow without the parent', application('allow subscribe a/+/#'), 'a/#'],
    ['two allows with a gap', application('allow subscribe a', 'allow subscribe a/+/+/#'), 'a/#'],
    ['a deny of exactly this', application('allow subscribe #', 'deny subscribe a/+'), 'a/+'],
    ['a deny of more', application('deny subscribe #', 'allow subscribe a'), 'a'],
    [
      'denies that cover it together',
      application('allow subscribe #', 'deny subscribe a', 'deny subscribe a/+/#'),
      'a/#',
    ],
    ['a shared subscription', application('allow subscribe #'), '$share/g/a'],
    ['a reserved filter', application('allow subscribe #'), '$SYS/#'],
  ])('%s: may not subscribe', (_, principal, filter) => {
    expect(canSubscribe(principal, filter)).toBe(false)
    expect(explain(principal, 'subscribe', filter).allowed).toBe(false)
  })

  it('allow rules that only together contain a filter grant it', () => {
    const principal = application('allow subscribe a', 'allow subscribe a/+', 'allow subscribe a/+/+/#')
    expect(canSubscribe(principal, 'a/#')).toBe(true)
    expect(explain(principal, 'subscribe', 'a/#')).toMatchObject({ allowed: true, rule: undefined })
  })

  it('a deny of a part leaves the subscription and acts at delivery', () => {
    const principal = application('allow subscribe t/#', 'deny subscribe t/+/secret/#')
    expect(canSubscribe(principal, 't/#')).toBe(true)
    expect(canReceive(principal, 't/a/open')).toBe(true)
    expect(canReceive(principal, 't/a/secret')).toBe(false)
    expect(canReceive(principal, 't/a/secret/x')).toBe(false)
  })

  it('explain names the rule that decided', () => {
    const principal = application('allow publish a/#', 'deny publish a/b')
    expect(explain(principal, 'publish', 'a/c')).toEqual({
      allowed: true,
      rule: rule('allow publish a/#'),
      reason: 'allowed by allow publish a/#',
    })
    expect(explain(principal, 'publish', 'a/b').rule).toEqual(rule('deny publish a/b'))
    expect(explain(principal, 'publish', 'c')).toMatchObject({ allowed: false, rule: undefined })
  })
})

describe('rules from outside', () => {
  const bad = (value: unknown): AclRule => value as AclRule // what an unchecked caller could send
  it.each([
    ['bad_request', bad({ effect: 'permit', action: 'publish', topic: 'a' })],
    ['bad_request', bad({ effect: 'allow', action: 'read', topic: 'a' })],
    ['bad_request', bad({ action: 'publish', topic: 'a' })],
    ['filter_invalid', bad({ effect: 'allow', action: 'publish' })],
    ['filter_invalid', rule('allow publish a/#/b')],
    ['filter_invalid', rule('allow publish ')],
    ['filter_invalid', rule('allow subscribe $SYS/#')],
    ['filter_invalid', rule('allow subscribe $share/g/a')],
  ])('%s: %j', (code, wrong) => {
    expect(() => checkRules([rule('allow publish ok'), wrong])).toThrow(expect.objectContaining({ code }))
    expect(() => checkRules([rule('allow publish ok'), wrong])).toThrow(/^rule 2: /)
  })

  it('are bounded in number', () => {
    const rules = Array.from({ length: MAX_RULES }, () => rule('allow publish a'))
    expect(() => checkRules(rules)).not.toThrow()
    expect(() => checkRules([...rules, rule('allow publish a')])).toThrow(SluiceError)
  })
})

describe('the topic for several devices of a tenant', () => {
  const TOPIC = 't/acme/telemetry'

  it.each([
    [['allow publish t/acme/+/telemetry'], true],
    [['allow publish t/acme/+/telemetry/#'], true],
    [['allow publish t/#'], true],
    [['allow publish #', 'deny publish t/acme/+/cmd/#', 'deny publish t/other/p1/#'], true],
    [['allow publish t/acme/p1/telemetry', 'allow publish t/acme/p2/telemetry'], false],
    [['allow publish t/acme/telemetry'], false],
    [['allow publish t/other/+/telemetry'], false],
    [['allow subscribe t/acme/#'], false],
    [['allow publish t/acme/#', 'deny publish t/acme/p1/#'], false],
    [['allow publish t/acme/#', 'deny publish t/+/p1/telemetry'], false],
    [[], false],
  ] as const)('is of whoever may publish the telemetry of all of them: %j, %j', (rules, allowed) => {
    const principal = application(...rules)
    expect(canPublish(principal, TOPIC)).toBe(allowed)
    expect(explain(principal, 'publish', TOPIC).allowed).toBe(allowed)
  })

  it('is of no device', () => {
    expect(canPublish(device, TOPIC)).toBe(false)
    expect(explain(device, 'publish', TOPIC)).toMatchObject({ allowed: false })
  })

  it('says which rule is in the way, and what is missing where none is', () => {
    const denied = explain(application('allow publish t/#', 'deny publish t/acme/p1/#'), 'publish', TOPIC)
    expect(denied.reason).toBe(
      'whoever publishes to t/acme/telemetry must be allowed all of t/acme/+/telemetry, which is denied by deny publish t/acme/p1/#',
    )
    expect(explain(application(), 'publish', TOPIC).reason).toMatch(/t\/acme\/\+\/telemetry, which is not allowed/)
  })
})
