import { describe, expect, it } from 'vitest'
import * as acl from '../../../shared/acl.ts'
import { createRouter } from '../../../shared/topic-routes.ts'
import { SAME_REGISTRY } from '../../fakes/memory-policies.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import { EVERYTHING } from '../../broker-harness.ts'

const router = createRouter(acl, SAME_REGISTRY)
const device: Principal = { kind: 'device', name: 'a/1', tenant: 'a', device: '1', uid: '1' }
const app: Principal = { kind: 'application', name: 'app', rules: EVERYTHING }
/** May publish for one device, and not for those that a message may name. */
const ofOne: Principal = {
  kind: 'application',
  name: 'one',
  rules: [{ effect: 'allow', action: 'publish', topic: 't/a/1/#' }],
}
const outcome = (principal: Principal, topic: string): string => {
  const route = router(principal, topic)
  return route.lane === 'refused' ? route.code : route.lane
}

describe('createRouter', () => {
  it.each([
    [device, 't/a/1/telemetry', 'telemetry'],
    [device, 't/a/1/telemetry/wind', 'telemetry'],
    [device, 't/a/1/status', 'aedes'],
    [device, 't/a/1/status/battery', 'aedes'],
    [device, 't/a/1/telemetri', 'topic_unknown'],
    [device, 't/a/1/telemetry/a/b', 'topic_unknown'],
    [device, 't/a/1/telemetry/', 'topic_unknown'],
    [device, 't/a/1/telemetry/with space', 'telemetry'],
    [device, 't/a/1/telemetry/with%20space', 'topic_encoding_invalid'],
    [device, 't/a/2/telemetry', 'not_authorised'],
    [device, 't/A/1/telemetry', 'not_authorised'],
    [device, 't/a/1/cmd/x', 'not_authorised'],
    [device, 'telemetry', 'not_authorised'],
    [device, '$SYS/x', 'topic_reserved'],
    [device, 't/a/1/telemetry/'.padEnd(1024, 'x'), 'topic_unknown'],
    [device, 't/a/1/telemetry/'.padEnd(1025, 'x'), 'topic_invalid'],
    [device, 't/a/1/telemetry/'.padEnd(60, '/'), 'topic_invalid'],
    [app, 't/a/1/cmd/x', 'aedes'],
    [app, 't/a/1/notice', 'aedes'],
    [app, 't/a/1/telemetry', 'telemetry'],
    [app, 't/a/telemetry', 'telemetry'],
    [device, 't/a/telemetry', 'not_authorised'],
    [ofOne, 't/a/telemetry', 'not_authorised'],
    [app, 'house/door', 'aedes'],
  ])('%o to %s: %s', (principal, topic, expected) => {
    expect(outcome(principal, topic)).toBe(expected)
  })

  it('keeps the key, the topic as a header unless it is the default one, and the login unless it is the device', () => {
    const made = (principal: Principal, topic: string) => {
      const route = router(principal, topic)
      return route.lane === 'telemetry' ? [route.key, route.headers.usual, route.isOfSeveral] : route
    }
    expect(made(device, 't/a/1/telemetry')).toEqual(['a/1', undefined, false])
    expect(made(device, 't/a/1/telemetry/wind')).toEqual(['a/1', { topic: 't/a/1/telemetry/wind' }, false])
    expect(made(app, 't/a/1/telemetry')).toEqual(['a/1', { login: 'app' }, false])
    expect(made(app, 't/a/telemetry')).toEqual(['a/\u001eapp', { topic: 't/a/telemetry', login: 'app' }, true])
  })
})
