import Type from 'typebox'
import { explain, rulesOf } from '../../../shared/acl.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { Principal, Registry } from '../../../shared/registry/port.ts'
import { parseDeviceKey } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { problemResponses } from '../problem.ts'
import { requireDevice } from './devices.ts'
import { Rule } from './applications.ts'

const Verdict = Type.Object({
  who: Type.String(),
  kind: Type.Enum(['device', 'application']),
  action: Type.Enum(['publish', 'subscribe']),
  topic: Type.String(),
  allowed: Type.Boolean(),
  rule: Type.Union([Rule, Type.Null()], { description: 'The rule that decided; null if no single rule did.' }),
  reason: Type.String(),
  rules: Type.Array(Rule, { description: 'All effective rules; those of a device follow from its name.' }),
})

/** Why a login may or may not do something, by the code that the broker decides with. */
export function aclRoutes(app: Api, { registry }: ApiParts<'registry'>): void {
  app.get(
    '/acl/explain',
    {
      schema: {
        tags: ['applications'],
        summary: 'Whether a login may publish to a topic or subscribe to a filter, and which rule decides',
        querystring: Type.Object(
          {
            who: Type.String({ description: 'tenant/device, or an application name' }),
            action: Type.Enum(['publish', 'subscribe']),
            topic: Type.String({
              maxLength: 2048,
              description: 'The topic to publish to, or the topic filter to subscribe to.',
            }),
          },
          { additionalProperties: false },
        ),
        response: { 200: Verdict, ...problemResponses },
      },
    },
    async (request) => {
      const { who, action, topic } = request.query
      const principal = await findPrincipal(registry, who)
      const { allowed, rule, reason } = explain(principal, action, topic)
      const rules = rulesOf(principal).filter((one) => one.action === action)
      return { who, kind: principal.kind, action, topic, allowed, rule: rule ?? null, reason, rules }
    },
  )
}

/** Error: `not_found`. */
async function findPrincipal(registry: Registry, who: string): Promise<Principal> {
  const device = parseDeviceKey(who)
  if (device !== undefined) {
    const { uid } = await requireDevice(registry, device.tenant, device.device)
    return { kind: 'device', name: who, ...device, uid }
  }
  const application = await registry.getApplication(who)
  if (application !== undefined) return { kind: 'application', name: who, rules: application.rules }
  throw new SluiceError('not_found', `No such application: ${JSON.stringify(who.slice(0, 160))}.`)
}
