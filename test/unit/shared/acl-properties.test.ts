import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canPublish, canReceive, canSubscribe, explain, rulesOf } from '../../../shared/acl.ts'
import type { AclRule, Principal } from '../../../shared/registry/port.ts'
import { matches } from '../../../shared/topic-filter.ts'
import { formatTelemetryTopic, topicOfDevice } from '../../../shared/topics.ts'
import { tenantName, wideName } from '../../names.ts'

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

const words = ['a', 'b', '$s', '+']
const filterText = fc
  .tuple(fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([levels, hash]) => [...levels, ...(hash ? ['#'] : [])].join('/'))
const ruleText = fc
  .tuple(fc.constantFrom('allow', 'allow', 'deny'), fc.constantFrom('publish', 'subscribe'), filterText)
  .map((parts) => parts.join(' '))
const topics = ['a', 'b', 'z', '$s'].flatMap((x) => [
  x,
  ...['a', 'z'].flatMap((y) => [`${x}/${y}`, `${x}/${y}/z`, `${x}/${y}/a`]),
])

describe('verdicts, for all rules', () => {
  it('a granted subscription matches only topics that an allow rule allows; the rest is denied at delivery', () => {
    fc.assert(
      fc.property(fc.array(ruleText, { maxLength: 6 }), filterText, (rules, filter) => {
        const principal = application(...rules)
        if (!canSubscribe(principal, filter)) return
        for (const topic of topics.filter((candidate) => matches(filter, candidate))) {
          const of = (effect: string): boolean =>
            rules.map(rule).some((r) => r.effect === effect && r.action === 'subscribe' && matches(r.topic, topic))
          expect(of('allow')).toBe(true)
          expect(canReceive(principal, topic)).toBe(!of('deny'))
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('do not depend on the order of the rules, and a deny never adds to what is allowed', () => {
    fc.assert(
      fc.property(fc.array(ruleText, { maxLength: 6 }), filterText, (rules, filter) => {
        const forward = application(...rules)
        const backward = application(...rules.toReversed())
        const denied = application(...rules, `deny publish ${filter}`, `deny subscribe ${filter}`)
        expect(canSubscribe(backward, filter)).toBe(canSubscribe(forward, filter))
        expect(canSubscribe(denied, filter)).toBe(false)
        for (const topic of topics) {
          for (const may of [canPublish, canReceive]) {
            expect(may(backward, topic)).toBe(may(forward, topic))
            expect(may(denied, topic)).toBe(may(forward, topic) && !matches(filter, topic))
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('are those that explain gives', () => {
    fc.assert(
      fc.property(fc.array(ruleText, { maxLength: 6 }), filterText, (rules, filter) => {
        const principal = application(...rules)
        expect(explain(principal, 'subscribe', filter).allowed).toBe(canSubscribe(principal, filter))
        for (const topic of topics) {
          expect(explain(principal, 'publish', topic).allowed).toBe(canPublish(principal, topic))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('of a device are those of an application with the same rules', () => {
    const asRules: Principal = { kind: 'application', name: 'app', rules: rulesOf(device) }
    const rest = fc.array(fc.constantFrom('cmd', 'notice', 'cmdx', 'x', '', '+', '#'), { maxLength: 3 })
    const head = fc.constantFrom('t/acme/p1', 't/acme/p1', 't/acme/p', 't/acme/p12', 't/acme', 't', '+/acme/p1')
    fc.assert(
      fc.property(head, rest, (start, levels) => {
        const text = [start, ...levels].join('/')
        expect(canPublish(device, text)).toBe(canPublish(asRules, text))
        expect(canSubscribe(device, text)).toBe(canSubscribe(asRules, text))
        expect(canReceive(device, text)).toBe(canReceive(asRules, text))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('devices of any names', () => {
  const names = fc.oneof(wideName, fc.stringMatching(/^[a/%2F+#]{1,4}$/))
  const deviceOf = fc.record({ tenant: fc.oneof(fc.constantFrom('a', 'b'), tenantName), device: names })
  const principalOf = ({ tenant, device }: { tenant: string; device: string }): Principal => {
    return { kind: 'device', name: `${tenant}/${device}`, tenant, device, uid: device }
  }

  it('publish and hear below their own topic, and below no other', () => {
    fc.assert(
      fc.property(deviceOf, deviceOf, names, (one, other, stream) => {
        const isSame = one.tenant === other.tenant && one.device === other.device
        const own = topicOfDevice(other.tenant, other.device)
        const principal = principalOf(one)
        expect(canPublish(principal, formatTelemetryTopic({ ...other, stream }))).toBe(isSame)
        expect(canPublish(principal, `${own}/status`)).toBe(isSame)
        expect(canReceive(principal, `${own}/cmd/x`)).toBe(isSame)
        expect(canSubscribe(principal, `${own}/cmd/#`)).toBe(isSame)
        expect(rulesOf(principal).some(({ topic }) => matches(topic, `${own}/x`))).toBe(isSame)
        // As it is, a name with a slash or a wildcard has topics of others, which it may not use.
        const raw = `t/${one.tenant}/${one.device}/telemetry`
        if (/[/+#%]/.test(one.device)) expect(canPublish(principal, raw)).toBe(false)
      }),
      { numRuns: 1_000 },
    )
  })
})
