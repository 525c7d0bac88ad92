import Type, { type Static } from 'typebox'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { createFailedLogins } from '../../../shared/failed-logins.ts'
import type { ClaimKey } from '../../../shared/registry/identity-port.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { isUsed } from '../used-names.ts'
import { rfc3339, TimeOrNull } from '../time.ts'
import { Credentials } from './devices.ts'

const DAY_S = 86_400
const Tags = Type.Record(Type.String(), Type.String({ maxLength: 256 }), { maxProperties: 32 })
const ClaimKeyView = Type.Object({
  id: Type.String(),
  tenant: Type.String(),
  tags: Tags,
  maxUses: Type.Integer(),
  uses: Type.Integer(),
  createdAt: TimeOrNull,
  expiresAt: TimeOrNull,
})
const NewKey = Type.Object(
  {
    tenant: Type.String(),
    maxUses: Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Number of devices that may use it.' }),
    expiresSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 * DAY_S })),
    tags: Type.Optional(Tags),
  },
  { additionalProperties: false },
)

/** Keys with which devices make themselves known; for whoever provisions. */
export function claimKeyRoutes(app: Api, options: ApiParts<'registry'>): void {
  const { claimKeys } = options.registry
  const tags = ['provisioning']
  app.post(
    '/claim-keys',
    {
      schema: {
        tags,
        summary: 'Create a provisioning key; it is not shown again',
        body: NewKey,
        response: {
          201: Type.Evaluate(Type.Intersect([ClaimKeyView, Type.Object({ key: Type.String() })])),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { tenant, maxUses, expiresSeconds, tags: own = {} } = request.body
      const expiresMs = expiresSeconds === undefined ? undefined : Date.now() + expiresSeconds * 1000
      const made = await claimKeys.create({ tenant, maxUses, expiresMs, tags: own })
      await recordAction(options, request, 'claim-key.create', made.id)
      return reply.code(201).send({ ...view(made), key: made.key })
    },
  )
  app.get(
    '/claim-keys',
    {
      schema: {
        tags,
        summary: 'All provisioning keys, newest first',
        response: { 200: Type.Object({ claimKeys: Type.Array(ClaimKeyView) }), ...problemResponses },
      },
    },
    async () => ({ claimKeys: (await claimKeys.list()).map(view) }),
  )
  app.delete(
    '/claim-keys/:id',
    {
      schema: {
        tags,
        summary: 'Revoke a provisioning key; devices that used it stay',
        params: Type.Object({ id: Type.String() }),
        response: { 204: Type.Null({ description: 'Removed.' }), ...problemResponses },
      },
    },
    async (request, reply) => {
      await claimKeys.revoke(request.params.id)
      await recordAction(options, request, 'claim-key.revoke', request.params.id)
      return reply.code(204).send(null)
    },
  )
}

/** What a device asks that has nothing but a provisioning key. */
export function claimRoute(app: Api, options: ApiParts<'registry' | 'points' | 'logger'>): void {
  const failed = createFailedLogins()
  app.post(
    '/v1/claims',
    {
      bodyLimit: 4096,
      schema: {
        tags: ['provisioning'],
        summary: 'A device exchanges a provisioning key for its own credentials, once',
        description:
          'Needs no bearer token: the key authorises it. The same key may claim the same device again until its ' +
          'credentials are first used, because the response may be lost.',
        security: [],
        body: Type.Object(
          {
            key: Type.String({ maxLength: 256 }),
            device: Type.String({ description: 'Name that the device chooses, such as its serial number.' }),
          },
          { additionalProperties: false },
        ),
        response: {
          201: Type.Object({ tenant: Type.String(), device: Type.String(), ...Credentials }),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { key, device } = request.body
      if (failed.isLimited(request.client)) {
        throw new SluiceError('login_rate_limited', `Too many refused claims from ${request.client}.`)
      }
      try {
        const { keyId, ...made } = await options.registry.claimKeys.claim(key, device, (tenant) =>
          isUsed(options, { tenant, device }),
        )
        request.who = `claim-key ${keyId}`
        await recordAction(options, request, 'device.claim', made.username)
        return reply.code(201).send(made)
      } catch (error) {
        if (toSluiceError(error).code === 'claim_refused') failed.note(request.client)
        throw error
      }
    },
  )
}

function view({ id, tenant, tags, maxUses, uses, createdMs, expiresMs }: ClaimKey): Static<typeof ClaimKeyView> {
  return { id, tenant, tags: { ...tags }, maxUses, uses, createdAt: rfc3339(createdMs), expiresAt: rfc3339(expiresMs) }
}
