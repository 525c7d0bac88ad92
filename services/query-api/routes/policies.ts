import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import { checkNewName } from '../../../shared/names.ts'
import { featuresOf, readDocument, resolve, type PolicyDocument } from '../../../shared/policies/document.ts'
import { pathOf, type PolicySources } from '../../../shared/policies/sources.ts'
import { SETTING_NAMES } from '../../../shared/policies/settings.ts'
import type { PolicyRevision } from '../../../shared/registry/policies-port.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { requireOfWorkers } from '../features.ts'
import { problemResponses } from '../problem.ts'
import { rfc3339, TimeOrNull } from '../time.ts'

const Document = Type.Unsafe<PolicyDocument>({
  type: 'object',
  description: 'Settings by name, and under `streams` those of single streams; see docs/policies.md.',
})
const Tenant = Type.Optional(Type.String({ description: "The tenant's; without it the default of all tenants." }))
const Revision = Type.Object({
  tenant: Type.Union([Type.String(), Type.Null()], { description: 'Null: the default of all tenants.' }),
  revision: Type.Integer({ description: '0 where nothing was ever set.' }),
  at: TimeOrNull,
  who: Type.Union([Type.String(), Type.Null()]),
  document: Document,
})
const Setting = Type.Object({
  name: Type.String(),
  value: Type.Unknown(),
  from: Type.Enum(['stream', 'tenant', 'default', 'built in'], { description: 'Where the value was set.' }),
  file: Type.Union([Type.String(), Type.Null()], {
    description: 'File and line that set it, which nobody else changes.',
  }),
  who: Type.Union([Type.String(), Type.Null()], { description: 'Who set it, where no file did and it is known.' }),
})

/** What becomes of payloads where more than one answer is right. */
export function policyRoutes(app: Api, options: ApiParts<'registry' | 'workers'>): void {
  const { policies } = options.registry
  const tags = ['policies']
  app.get(
    '/policies',
    {
      schema: {
        tags,
        summary: 'The policies of a tenant, and what is in force for it or for one of its streams',
        querystring: Type.Object(
          { tenant: Tenant, stream: Type.Optional(Type.String()) },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({ ...Revision.properties, settings: Type.Array(Setting) }),
          ...problemResponses,
        },
      },
    },
    async ({ query }) => {
      const scope = scopeOf(query.tenant)
      if (scope === undefined && query.stream !== undefined) {
        throw new SluiceError('bad_request', 'parameter "stream" needs a tenant')
      }
      const own = await policies.read(scope)
      const fallback = scope === undefined ? own : await policies.read(undefined)
      const documents = { tenant: scope === undefined ? {} : documentOf(own), default: documentOf(fallback) }
      const { policy, origins } = resolve(query.stream, documents)
      const settings = SETTING_NAMES.map((name) => {
        const from = origins[name]
        const { sources } = (from === 'default' ? fallback : own) ?? {}
        return {
          name,
          value: policy[name],
          from,
          ...setterOf(sources, pathOf(name, from === 'stream' ? query.stream : undefined)),
        }
      })
      return { ...view(scope, own), settings }
    },
  )
  listRoutes(app, options)
  changeRoute(app, options)
}

function listRoutes(app: Api, options: ApiParts<'registry'>): void {
  const { policies } = options.registry
  const tags = ['policies']
  app.get(
    '/policies/list',
    {
      schema: {
        tags,
        summary: 'All policies in force: the default, and those of tenants that have their own',
        response: { 200: Type.Object({ policies: Type.Array(Revision) }), ...problemResponses },
      },
    },
    async () => ({ policies: (await policies.list()).map((one) => view(one.scope, one)) }),
  )
  app.get(
    '/policies/history',
    {
      schema: {
        tags,
        summary: 'All that they ever were, the newest first',
        querystring: Type.Object(
          { tenant: Tenant, limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ revisions: Type.Array(Revision) }), ...problemResponses },
      },
    },
    async ({ query }) => {
      const scope = scopeOf(query.tenant)
      return { revisions: (await policies.history(scope, query.limit)).map((one) => view(scope, one)) }
    },
  )
}

function changeRoute(app: Api, options: ApiParts<'registry' | 'workers'>): void {
  app.put(
    '/policies',
    {
      schema: {
        tags: ['policies'],
        summary: 'Replace the policies of a tenant; messages that come within two seconds may still have those before',
        querystring: Type.Object({ tenant: Tenant }, { additionalProperties: false }),
        body: Type.Object(
          {
            revision: Type.Integer({ minimum: 0, description: 'That they were read at: another one is refused.' }),
            document: Document,
          },
          { additionalProperties: false },
        ),
        response: { 200: Revision, ...problemResponses },
      },
    },
    async (request) => {
      const { revision: from, document: given } = request.body
      const scope = scopeOf(request.query.tenant)
      const document = readDocument(given, scope)
      for (const feature of featuresOf(document)) await requireOfWorkers(options, feature)
      const { policies } = options.registry
      const put = await policies.put({ scope, document, from, who: request.who })
      const detail = `revision ${put.revision}: ${JSON.stringify(document)}`
      await recordAction(options, request, 'policies.set', scope ?? 'default of all tenants', detail)
      return view(scope, put)
    },
  )
}

/** Error: `name_invalid`. */
function scopeOf(tenant: string | undefined): string | undefined {
  if (tenant !== undefined) checkNewName('tenant', tenant)
  return tenant
}

function setterOf(sources: PolicySources | undefined, path: string): Pick<Static<typeof Setting>, 'file' | 'who'> {
  const { files = {}, by = {} } = sources ?? {}
  const file = Object.hasOwn(files, path) ? (files[path] ?? null) : null
  return { file, who: file === null && Object.hasOwn(by, path) ? (by[path] ?? null) : null }
}

function documentOf(revision: PolicyRevision | undefined): PolicyDocument {
  return revision?.document ?? {}
}

function view(scope: string | undefined, one: PolicyRevision | undefined): Static<typeof Revision> {
  const { revision = 0, atMs, who = null, document = {} } = one ?? {}
  return { tenant: scope ?? null, revision, at: rfc3339(atMs), who, document }
}
