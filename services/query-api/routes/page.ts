import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply } from 'fastify'

/**
 * What the page may do: load its own files and talk to this server, nothing else. Without `unsafe-inline` and with
 * trusted types switched on and none allowed, a topic or payload cannot become markup or script even where the page's
 * own code is wrong.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/** Files of packages that the page loads, under `/vendor/{package}/`. */
const VENDOR = [
  { name: 'uplot', module: import.meta.resolve('uplot'), files: ['uPlot.esm.js', 'uPlot.min.css'] },
  {
    name: 'eventsource-parser',
    module: import.meta.resolve('eventsource-parser'),
    files: ['stream.js', 'parse.js', 'errors.js'],
  },
]

/** Serves the page at `/` from `publicFolder`, and under `/vendor/` the files of packages that it loads. */
export async function registerPage(app: FastifyInstance, publicFolder: URL | string): Promise<void> {
  // The files are listed once, at the start: a path that is none of them stays the API's own 404.
  await app.register(fastifyStatic, { root: publicFolder, wildcard: false, cacheControl: false, setHeaders })

  for (const { name, module, files } of VENDOR) {
    const folder = dirname(fileURLToPath(module))
    for (const file of files) {
      app.get(`/vendor/${name}/${file}`, { schema: { hide: true } }, (_request, reply) => reply.sendFile(file, folder))
    }
  }
}

function setHeaders(reply: FastifyReply): void {
  reply.headers({
    // Revalidated by its ETag on every load: a page of an older version must not meet a newer API.
    'cache-control': 'no-cache',
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  })
}
