import Type, { type Static } from 'typebox'
import { checkDecoder } from '../../../shared/codecs/check.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { checkNewName } from '../../../shared/names.ts'
import { MAX_DECODER_CHARACTERS, type DecoderRevision } from '../../../shared/registry/decoders-port.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { requireOfWorkers } from '../features.ts'
import { problemResponses } from '../problem.ts'
import { rfc3339 } from '../time.ts'

const Kind = Type.Enum(['codec', 'protobuf'])
const Options = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()]), {
  description: 'How it is used; see docs/codecs.md.',
})
const Revision = Type.Object({
  tenant: Type.Union([Type.String(), Type.Null()], { description: 'Null: of all tenants.' }),
  name: Type.String(),
  kind: Kind,
  revision: Type.Integer(),
  id: Type.String({ description: 'What policies name: `codec:{name}@{id}`.' }),
  sha256: Type.String({ description: 'Of the content.' }),
  characters: Type.Integer(),
  options: Options,
  at: Type.Union([Type.String(), Type.Null()]),
  who: Type.String(),
})
const Content = Type.String({
  maxLength: MAX_DECODER_CHARACTERS,
  description: 'JavaScript; of protobuf a FileDescriptorSet in base64.',
})
const Scope = Type.Object(
  { tenant: Type.Optional(Type.String({ description: "The tenant's; without it that of all tenants." })) },
  { additionalProperties: false },
)
const Name = Type.Object({ name: Type.String() })
const tags = ['decoders']

/** Decoders that administrators upload. */
export function uploadedDecoderRoutes(app: Api, options: ApiParts<'registry' | 'workers'>): void {
  readRoutes(app, options)
  changeRoutes(app, options)
}

function readRoutes(app: Api, options: ApiParts<'registry'>): void {
  const { decoders } = options.registry
  app.get(
    '/uploaded-decoders',
    {
      schema: {
        tags,
        summary: 'Decoders that were uploaded, of a tenant, or of everybody',
        querystring: Type.Object(
          { ...Scope.properties, all: Type.Optional(Type.Enum(['true'], { description: 'Of all tenants.' })) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ decoders: Type.Array(Revision) }), ...problemResponses },
      },
    },
    async ({ query: { tenant, all } }) => {
      const found = await decoders.list(all === 'true' ? undefined : { scope: scopeOf(tenant) })
      return { decoders: found.map(view) }
    },
  )
  app.get(
    '/uploaded-decoders/:name',
    {
      schema: {
        tags,
        summary: 'An uploaded decoder with its content',
        params: Name,
        querystring: Scope,
        response: { 200: Type.Object({ ...Revision.properties, content: Type.String() }), ...problemResponses },
      },
    },
    async ({ params: { name }, query: { tenant } }) => {
      const found = await decoders.read(scopeOf(tenant), name)
      if (found === undefined) throw new SluiceError('not_found', `no decoder ${name}`)
      return { ...view(found), content: found.content }
    },
  )
}

function changeRoutes(app: Api, options: ApiParts<'registry' | 'workers'>): void {
  const { decoders } = options.registry
  app.put(
    '/uploaded-decoders/:name',
    {
      schema: {
        tags,
        summary: 'Upload a decoder; messages that come within two seconds may still be decoded by the one before',
        params: Name,
        querystring: Scope,
        body: Type.Object(
          { kind: Kind, content: Content, options: Type.Optional(Options) },
          { additionalProperties: false },
        ),
        response: { 200: Revision, ...problemResponses },
      },
    },
    async (request) => {
      const { kind, content, options: how = {} } = request.body
      const { name } = request.params
      const scope = scopeOf(request.query.tenant)
      const definition = { kind, content, options: how }
      await checkDecoder(definition)
      await requireOfWorkers(options, 'uploaded-decoders')
      const put = await decoders.put({ scope, name, definition, who: request.who })
      const detail = `${kind} revision ${put.revision}, sha256 ${put.sha256}`
      await recordAction(options, request, 'decoders.put', subjectOf(scope, name), detail)
      return view(put)
    },
  )
  app.delete(
    '/uploaded-decoders/:name',
    {
      schema: {
        tags,
        summary: 'Remove a decoder that no policy names; records that came before are still decoded by it',
        params: Name,
        querystring: Scope,
        response: { 204: Type.Null(), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const scope = scopeOf(request.query.tenant)
      await decoders.remove(scope, name, request.who)
      await recordAction(options, request, 'decoders.remove', subjectOf(scope, name))
      return reply.code(204).send(null)
    },
  )
}

/** Error: `name_invalid`. */
function scopeOf(tenant: string | undefined): string | undefined {
  if (tenant !== undefined) checkNewName('tenant', tenant)
  return tenant
}

function subjectOf(scope: string | undefined, name: string): string {
  return `${scope ?? 'all tenants'}: ${name}`
}

function view(one: DecoderRevision): Static<typeof Revision> {
  const { scope, name, kind, revision, id, sha256, bytes, options, atMs, who } = one
  return {
    tenant: scope ?? null,
    name,
    kind,
    revision,
    id,
    sha256,
    characters: bytes,
    options,
    at: rfc3339(atMs),
    who,
  }
}
