import { readdirSync, readFileSync } from 'node:fs'
import { fastify } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { registerPage } from '../../../services/query-api/routes/page.ts'

const folder = new URL('../../../services/query-api/public/', import.meta.url)

async function servePage() {
  const app = fastify()
  onTestFinished(() => app.close())
  await registerPage(app, folder)
  return app
}

describe('the files of the page', () => {
  it('are served with a policy that allows no inline code, no inline style and no other host', async () => {
    const app = await servePage()
    const parser = ['stream', 'parse', 'errors'].map((name) => `/vendor/eventsource-parser/${name}.js`)
    const paths = ['/', '/vendor/uplot/uPlot.esm.js', '/vendor/uplot/uPlot.min.css', ...parser]
    for (const path of [...paths, ...readdirSync(folder).map((name) => `/${name}`)]) {
      const { statusCode, headers } = await app.inject(path)
      expect([path, statusCode]).toEqual([path, 200])
      const policy = String(headers['content-security-policy'])
      expect(policy).toContain("default-src 'none'")
      expect(policy).not.toMatch(/unsafe|data:|https?:|\*/)
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['cache-control']).toBe('no-cache')
    }
    expect((await app.inject('/page.js')).headers['content-type']).toMatch(/^(text|application)\/javascript/)
  })

  it('are all that is served', async () => {
    const app = await servePage()
    const paths = ['/tsconfig.page.json', '/vendor/uplot/uPlot.cjs.js', '/vendor/uplot/', '/..%2fapp.ts', '/../app.ts']
    for (const path of paths) expect([path, (await app.inject(path)).statusCode]).toEqual([path, 404])
  })

  it('hold no inline code or style and name no other host', () => {
    const html = readFileSync(new URL('index.html', folder), 'utf8')
    expect(html).not.toMatch(/\sstyle=|<style|\son[a-z]+=|<script(?![^>]*\ssrc="\/)/)
    for (const name of readdirSync(folder)) {
      const text = readFileSync(new URL(name, folder), 'utf8').replaceAll('http://www.w3.org/2000/svg', '')
      expect([name, /(?:src|href|from|import|url)\W{1,3}(?:https?:)?\/\//.test(text)]).toEqual([name, false])
      expect([name, /innerHTML|outerHTML|insertAdjacentHTML|document\.write/.test(text)]).toEqual([name, false])
    }
  })
})
