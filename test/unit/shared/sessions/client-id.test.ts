import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ownerOfTopic, prefixOf, principalOf } from '../../../../shared/sessions/client-id.ts'
import { topicOfDevice } from '../../../../shared/topics.ts'
import { tenantName, wideName } from '../../../names.ts'

const short = fc.stringMatching(/^[a/%2F]{1,4}$/)
const login = fc.oneof(
  tenantName,
  fc.constantFrom('a', 'b'),
  fc.tuple(fc.constantFrom('a', 'b'), fc.oneof(short, wideName)).map((names) => names.join('/')),
)
const clientId = fc.oneof(short, fc.constantFrom('/', '//', 'x/y'))

it('a scoped client id tells its login, and no two logins share one', () => {
  fc.assert(
    fc.property(login, clientId, login, clientId, (name, id, other, otherId) => {
      const scoped = prefixOf(name) + id
      expect(principalOf(scoped)).toEqual({ name, isApplication: !name.includes('/') })
      expect(scoped === prefixOf(other) + otherId).toBe(name === other && id === otherId)
      expect(scoped.startsWith(prefixOf(other))).toBe(name === other)
    }),
    { numRuns: 2_000 },
  )
})

it('a command has the device whose topic it is on', () => {
  fc.assert(
    fc.property(tenantName, fc.oneof(short, wideName), (tenant, device) => {
      const own = topicOfDevice(tenant, device)
      expect(ownerOfTopic(`${own}/cmd/a/b`)).toBe(`${tenant}/${device}`)
      expect(ownerOfTopic(`${own}/notice`)).toBe(`${tenant}/${device}`)
      expect(ownerOfTopic(`${own}/status`)).toBe('')
      expect(ownerOfTopic(`${own}/cmds`)).toBe('')
    }),
  )
})
