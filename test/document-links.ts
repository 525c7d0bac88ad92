import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** Pages outside of docs/, when they exist. */
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'mosquitto/README.md',
  'load-tests/README.md',
]

/** A path below the root in code, by two slashes or an ending: `test/x` may be a topic. */
const NAMED_FILE =
  /(?<=^|[ `])(?:\.\/)?((?:config|docs|load-tests|mosquitto|services|shared|test)\/(?:[\w./-]*\/[\w.-]*\w|[\w-]*\.\w+))/gm

/** The project's own pages, as paths below the root. */
export function documents(root: string): string[] {
  const below = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`)
  const ofServices = readdirSync(join(root, 'services')).map((name) => `services/${name}/README.md`)
  return [...PAGES, ...ofServices, ...below].filter((path) => path.endsWith('.md') && existsSync(join(root, path)))
}

/** Links that lead to no file, or to no heading of a page, each as `page: target`. */
export function brokenLinks(root: string): string[] {
  return documents(root).flatMap((page) =>
    targetsOf(readFileSync(join(root, page), 'utf8'))
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !leadsSomewhere(root, page, target))
      .map((target) => `${page}: ${target}`),
  )
}

/** Files that commands and prose name without a link, and that do not exist, each as `page: path`. */
export function missingFiles(root: string): string[] {
  return documents(root).flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(NAMED_FILE)]
      .map((match) => match[1] ?? '')
      .filter((path) => !existsSync(join(root, path)))
      .map((path) => `${page}: ${path}`),
  )
}

function leadsSomewhere(root: string, page: string, target: string): boolean {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? page : normalize(join(dirname(page), file))
  if (!existsSync(join(root, path))) return false
  return anchor === undefined || (path.endsWith('.md') && anchorsOf(readFileSync(join(root, path), 'utf8')).has(anchor))
}

function targetsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '')
}

/** Anchors as GitHub makes them of headings: the second of the same text ends in -1, and so on. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of withoutCode(text).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = words.replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')
    let unique = anchor
    for (let i = 1; anchors.has(unique); i += 1) unique = `${anchor}-${i}`
    anchors.add(unique)
  }
  return anchors
}

/** Blocks of code hold comments that look like headings, and brackets that look like links. */
function withoutCode(text: string): string {
  return text.replace(/^ *```[^\n]*\n[\s\S]*?^ *```$/gm, '')
}
