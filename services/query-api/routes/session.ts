import Type from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import type { Api } from '../api.ts'
import { COOKIE, type Authentication } from '../authentication.ts'
import { problemResponses } from '../problem.ts'

/** Puts an API key into a cookie that scripts cannot read, for pages whose EventSource cannot send headers. */
export function sessionRoutes(app: Api, authentication: Authentication): void {
  app.post(
    '/v1/session',
    {
      schema: {
        tags: ['operation'],
        summary: 'Set a read-only session cookie for a browser',
        description: 'The cookie replaces the API key in GET and HEAD requests; it permits no changes.',
        security: [],
        body: Type.Object({ token: Type.String({ minLength: 1, maxLength: 1024 }) }, { additionalProperties: false }),
        response: { 204: Type.Null({ description: 'The cookie is set.' }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { token } = request.body
      if ((await authentication.nameOf(token)) === undefined) {
        throw new SluiceError('token_invalid', 'The token is not a known API key.')
      }
      reply.header('set-cookie', `${COOKIE}=${token}; Path=/; HttpOnly; SameSite=Strict`)
      return reply.code(204).send(null)
    },
  )
}
