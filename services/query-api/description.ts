import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifySchema } from 'fastify'
import type { Api } from './api.ts'

const ABOUT = `Devices, their readings and dead letters, over HTTP. Every error is a problem (RFC 9457) with a code and a fix.
Times are RFC 3339 unless \`epoch\` asks for another format; \`from\` is inclusive, \`to\` exclusive.`

/** The style that Swagger UI adds to its page from its script; the browser's console names the hash if it changes. */
const UI_STYLE = "'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='"
/** Swagger UI is served from here; its icons are data URLs. */
const CONTENT_SECURITY_POLICY =
  `default-src 'none'; script-src 'self'; style-src 'self' ${UI_STYLE}; ` +
  "img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Collects the OpenAPI document from the schemas of all routes that are registered afterwards. */
export async function describeApi(app: Api): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Sluice', version: 'v1', description: ABOUT },
      tags: [
        { name: 'readings', description: 'Readings that devices sent' },
        { name: 'devices', description: 'Devices and their logins' },
        { name: 'provisioning', description: 'Provisioning of devices' },
        { name: 'applications', description: 'Logins other than devices' },
        { name: 'operation', description: 'Health, status and metrics' },
      ],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'An API key, or the token of a session.' },
        },
      },
      security: [{ bearer: [] }],
    },
    transform: ({ schema, url }) => ({ schema: withoutDefaultsRequired(schema), url }),
    refResolver: {
      buildLocalReference: ({ $id }, _base, _fragment, index) => (typeof $id === 'string' ? $id : `schema${index}`),
    },
  })
}

/** A parameter with a default is there in the handler's type; clients may leave it out. */
function withoutDefaultsRequired(schema: FastifySchema): FastifySchema {
  const query = schema.querystring as { properties: Record<string, object>; required?: string[] } | undefined
  if (query === undefined) return schema
  const required = (query.required ?? []).filter((name) => !('default' in (query.properties[name] ?? {})))
  return { ...schema, querystring: { ...query, required } }
}

/** The document at `/docs/json`, and a page to read and try it at `/docs`. */
export async function serveDescription(app: Api): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { docExpansion: 'list', validatorUrl: null },
  })
}
