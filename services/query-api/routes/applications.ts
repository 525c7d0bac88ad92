import Type from 'typebox'
import { checkRules, MAX_RULES } from '../../../shared/acl.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { rfc3339, TimeOrNull } from '../time.ts'
import { Credentials } from './devices.ts'

/** One ACL rule. */
export const Rule = Type.Object(
  {
    effect: Type.Enum(['allow', 'deny']),
    action: Type.Enum(['publish', 'subscribe']),
    topic: Type.String({ description: 'An MQTT topic filter.' }),
  },
  { additionalProperties: false },
)
const Rules = Type.Array(Rule, {
  maxItems: MAX_RULES,
  description: 'Nothing is allowed without a rule; deny takes precedence.',
})
const CreatesDevices = Type.Boolean({
  description:
    'Devices that it publishes for and that do not exist are made, at most 100 an hour; removed ones are not.',
})
const Application = Type.Object({
  name: Type.String(),
  rules: Rules,
  createsDevices: CreatesDevices,
  createdAt: TimeOrNull,
})
const NewApplication = Type.Object(
  { name: Type.String(), rules: Rules, createsDevices: Type.Optional(CreatesDevices) },
  { additionalProperties: false },
)

/** Logins that are no devices: dashboards, gateways, bridges. */
export function applicationRoutes(app: Api, options: ApiParts<'registry'>): void {
  const { registry } = options
  const tags = ['applications']
  app.post(
    '/applications',
    {
      schema: {
        tags,
        summary: 'Create a login with rules; its secret and token are not shown again',
        body: NewApplication,
        response: {
          201: Type.Object({ name: Type.String(), rules: Rules, ...Credentials }),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { name, rules, createsDevices } = request.body
      checkRules(rules)
      const credentials = await registry.createApplication(name, rules, { createsDevices })
      await recordAction(options, request, 'application.create', name)
      return reply.code(201).send({ name, rules, ...credentials })
    },
  )
  app.get(
    '/applications',
    {
      schema: {
        tags,
        summary: 'All applications',
        response: { 200: Type.Object({ applications: Type.Array(Application) }), ...problemResponses },
      },
    },
    async () => {
      const applications = await registry.listApplications()
      return {
        applications: applications.map(({ name, rules, createsDevices, createdMs }) => ({
          name,
          createsDevices,
          rules: rules.map(({ effect, action, topic }) => ({ effect, action, topic })),
          createdAt: rfc3339(createdMs),
        })),
      }
    },
  )
  changeRoutes(app, options)
}

function changeRoutes(app: Api, options: ApiParts<'registry'>): void {
  app.put(
    '/applications/:name/rules',
    {
      schema: {
        tags: ['applications'],
        summary: 'Replace the rules; connected clients are affected within two seconds',
        params: Type.Object({ name: Type.String() }),
        body: Type.Object(
          { rules: Rules, createsDevices: Type.Optional(CreatesDevices) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ name: Type.String(), rules: Rules }), ...problemResponses },
      },
    },
    async (request) => {
      const { name } = request.params
      const { rules, createsDevices } = request.body
      await options.registry.setRules(name, rules, { createsDevices })
      await recordAction(options, request, 'application.rules', name)
      return { name, rules }
    },
  )
  app.delete(
    '/applications/:name',
    {
      schema: {
        tags: ['applications'],
        summary: 'Remove an application and its login',
        params: Type.Object({ name: Type.String() }),
        response: { 204: Type.Null({ description: 'Removed.' }), ...problemResponses },
      },
    },
    async (request, reply) => {
      await options.registry.removeApplication(request.params.name)
      await recordAction(options, request, 'application.remove', request.params.name)
      return reply.code(204).send(null)
    },
  )
}
