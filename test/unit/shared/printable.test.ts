import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { visible } from '../../../services/query-api/public/dom.js'
import { printable, printableJson, printableLines } from '../../../shared/printable.ts'
import { anyText, unseenIn } from '../../names.ts'

const root = join(import.meta.dirname, '../../..')

it('what is shown in a terminal neither steers it nor hides', () => {
  expect(printable('a\u001b[2J\u009b1m\u202eb\u200b ü😀❤️')).toBe('a\\x1b[2J\\x9b1m\\u{202e}b\\u{200b} ü😀❤️')
  fc.assert(fc.property(anyText, (text) => void expect(unseenIn(printable(text))).toEqual([])))
})

it('lines of ours stay lines, colours of ours stay where there are any, and nothing else does', () => {
  const colored = 'a \u001b[31mb\u001b[39m\nc\u001b[2J\r\u0007'
  expect(printableLines(colored, { colors: true })).toBe('a \u001b[31mb\u001b[39m\nc\\x1b[2J\\x0d\\x07')
  expect(printableLines(colored, { colors: false })).toBe('a \\x1b[31mb\\x1b[39m\nc\\x1b[2J\\x0d\\x07')
})

it('JSON means the same and shows everything', () => {
  fc.assert(
    fc.property(fc.dictionary(anyText, anyText), fc.constantFrom(undefined, 2), (value, indent) => {
      const json = printableJson(JSON.stringify(value, null, indent))
      expect(unseenIn(json.replaceAll('\n', ''))).toEqual([])
      expect(JSON.parse(json)).toEqual(value)
    }),
  )
})

it('the page hides what a terminal hides: every code point, but for line feeds', () => {
  const differ: number[] = []
  for (let code = 0; code <= 0x10_ffff; code += 1) {
    // Half a surrogate pair is no character; the page shows it as what it is not.
    if (code >= 0xd800 && code <= 0xdfff) continue
    const text = String.fromCodePoint(code)
    if ((printable(text) === text) !== (visible(text, 10) === text)) differ.push(code)
  }
  expect(differ).toEqual(['\n'.codePointAt(0)])
})

it('the page makes text nodes of everything: nothing in it can turn text into markup', () => {
  const folder = join(root, 'services/query-api/public')
  const markup =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc|\beval\b/
  const scripts = readdirSync(folder).filter((name) => name.endsWith('.js'))
  expect(scripts.length).toBeGreaterThan(5)
  for (const name of scripts) expect(readFileSync(join(folder, name), 'utf8'), name).not.toMatch(markup)
})

it('a line of the log is one line of JSON that shows everything, whoever logs what', () => {
  const texts = [...fc.sample(anyText, 300), '\u202e\n{"level":"error","msg":"forged"}']
  const script = `
    import { createLogger } from ${JSON.stringify(join(root, 'shared/process/logger.ts'))}
    const logger = createLogger('info')
    for (const text of ${JSON.stringify(texts)}) logger.info({ [text]: text, err: new Error(text) }, text)
  `
  const { stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
    {
      encoding: 'utf8',
    },
  )
  const lines = stderr.trimEnd().split('\n')
  expect(lines).toHaveLength(texts.length)
  lines.forEach((line, index) => {
    expect(unseenIn(line)).toEqual([])
    expect(JSON.parse(line)).toMatchObject({ level: 'info', msg: texts[index], err: { message: texts[index] } })
  })
})
