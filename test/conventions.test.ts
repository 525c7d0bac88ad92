import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ERRORS } from '../shared/errors.ts'
import { ROOT as root, sourcesBelow, type Source } from './sources.ts'
import { brokenLinks, documents, missingFiles } from './document-links.ts'

const services = sourcesBelow('services')
const shared = sourcesBelow('shared')
const production = [...services, ...shared, ...sourcesBelow('config')]
const everything = [...production, ...sourcesBelow('load-tests', 'test')]

const serviceOf = (path: string) => /^services\/([^/]+)\//.exec(path)?.[1]
const isMain = (source: Source) => basename(source.path) === 'main.ts'
/** Standalone and the CLI put services together; everything else stands alone. */
const mayCompose = (source: Source) => ['standalone', 'cli'].includes(serviceOf(source.path) ?? '')

function offenders(sources: readonly Source[], isWrong: (source: Source) => boolean): string[] {
  return sources.filter(isWrong).map((source) => source.path)
}

describe('import arrows', () => {
  it('shared and config never import services', () => {
    const others = production.filter((source) => serviceOf(source.path) === undefined)
    expect(offenders(others, (source) => source.imports.some((path) => path.startsWith('services/')))).toEqual([])
  })

  it('services never import services, but for standalone and the CLI', () => {
    const wrong = (source: Source) =>
      source.imports.some((path) => {
        const other = serviceOf(path)
        return other !== undefined && other !== serviceOf(source.path)
      })
    expect(
      offenders(
        services.filter((source) => !mayCompose(source)),
        wrong,
      ),
    ).toEqual([])
  })

  it('production never imports tests or load tests', () => {
    expect(offenders(production, (source) => source.imports.some((path) => /^(test|load-tests)\//.test(path)))).toEqual(
      [],
    )
  })

  it('only main files choose adapters', () => {
    const adapter = /^shared\/(log|points|registry|cache)\/(?!([a-z]+-)?port\.ts$)/
    // Nor what says what the values of a port mean, nor what looks into the files of an engine without opening it.
    const pure =
      /^shared\/(log\/partition|points\/(aggregate|scan-columns|stored-values)|registry\/(credentials|names)|[a-z]+\/sqlite\/verify)\.ts$/
    const wrong = (source: Source) => source.imports.some((path) => adapter.test(path) && !pure.test(path))
    expect(
      offenders(
        services.filter((source) => !isMain(source)),
        wrong,
      ),
    ).toEqual([])
  })
})

describe('the process', () => {
  it('only shared/config.ts reads the environment', () => {
    const wrong = (source: Source) => source.path !== 'shared/config.ts' && /process\.env/.test(source.text)
    expect(offenders(production, wrong)).toEqual([])
  })

  it('only main files and the one owner of a process touch signals, arguments and exits', () => {
    const owner = 'shared/process/service-process.ts'
    const wrong = (source: Source) =>
      source.path !== owner && !isMain(source) && /process\.(on|once|exit|exitCode|argv|kill)\b/.test(source.text)
    expect(offenders(production, wrong)).toEqual([])
  })
})

describe('said once', () => {
  it.for([
    // Durable, and without a loop below /proc.
    { what: 'makes folders', place: 'shared/storage/folders.ts', pattern: /\bmkdir(Sync)?\b/ },
    { what: 'knows the result codes of SQLite', place: 'shared/storage/storage-fault.ts', pattern: /\berrcode\b/ },
    { what: 'shortens a pause at random', place: 'shared/backoff.ts', pattern: /Math\.random\(\) \/ 2/ },
    { what: 'speaks to threads', place: 'shared/process/thread-client.ts', pattern: /\bnew Worker\(/ },
    { what: 'makes gauges of one value', place: 'shared/process/metrics.ts', pattern: /collect\(\) \{\s*this\.set\(/ },
    { what: 'tells whether Redis answered', place: 'shared/redis/availability.ts', pattern: /ReplyError/ },
    { what: 'compares texts', place: 'shared/text-order.ts', pattern: /\? -1 :|\blocaleCompare\b/ },
    { what: 'knows loopback', place: 'shared/addresses.ts', pattern: /function isLoopback\b/ },
  ])('only $place $what', ({ place, pattern }) => {
    expect(production.filter(({ text }) => pattern.test(text)).map(({ path }) => path)).toEqual([place])
  })
})

describe('size and names', () => {
  it('a file has at most 250 lines', () => {
    expect(offenders(everything, (source) => source.text.split('\n').length > 251)).toEqual([])
  })

  it('files are nouns of the field in kebab-case', () => {
    const vague = /^(index|utils?|common|base|manager|misc|types)\.ts$/
    const wrong = (source: Source) => vague.test(basename(source.path)) || /[A-Z_]/.test(basename(source.path))
    expect(offenders(everything, wrong)).toEqual([])
  })

  it('no error is swallowed and no type check silenced', () => {
    const silenced =
      /catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\) => (\{\}|undefined)\)|@ts-(ignore|nocheck)|as any\b|: any\b/
    const here = 'test/conventions.test.ts'
    expect(
      offenders(
        everything.filter((source) => source.path !== here),
        (source) => silenced.test(source.text),
      ),
    ).toEqual([])
  })
})

describe('documents', () => {
  it('every error code is explained in docs/errors.md, with its fix', () => {
    // The formatter pads tables and escapes characters.
    const page = readFileSync(join(root, 'docs/errors.md'), 'utf8').replace(/ +/g, ' ').replaceAll('\\', '')
    const missing = Object.entries(ERRORS).filter(
      ([code, kind]) =>
        !page.includes(
          `| \`${code}\` | ${kind.class} | ${kind.canRetry ? 'yes' : 'no'} | ${kind.fix.replaceAll('\\', '')} |`,
        ),
    )
    expect(missing.map(([code]) => code)).toEqual([])
  })

  it('links between pages, to their headings and to files lead somewhere', () => {
    expect(documents(root).length).toBeGreaterThan(15)
    expect(brokenLinks(root)).toEqual([])
  })

  it('files that a page names in code exist', () => {
    expect(missingFiles(root)).toEqual([])
  })
})
