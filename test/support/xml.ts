/** @returns The elements of an XML text, in order, with their attributes. @throws when it is not well-formed. */
export function readXml(text: string): { name: string; attributes: Record<string, string>; text: string }[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what XML 1.0 has no form for
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text))
    throw new Error('a forbidden character')
  const elements: { name: string; attributes: Record<string, string>; text: string }[] = []
  const open: (typeof elements)[number][] = []
  const token = /<\?xml [^>]*\?>|<\/(\w+)>|<(\w+)((?:\s+\w+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy
  let at = 0
  for (const match of text.matchAll(token)) {
    if (match.index !== at) break
    at += match[0].length
    const [, closed, name, attributes = '', empty, between] = match
    if (closed && open.pop()?.name !== closed) throw new Error(`</${closed}> closes something else`)
    if (name) {
      const element = { name, attributes: attributesIn(attributes), text: '' }
      elements.push(element)
      if (!empty) open.push(element)
    }
    const inside = open.at(-1)
    if (between && inside) inside.text += unescaped(between)
    else if (between?.trim()) throw new Error('text outside of the root')
  }
  if (at !== text.length) throw new Error(`not well-formed at ${JSON.stringify(text.slice(at, at + 40))}`)
  if (open.length > 0) throw new Error(`${open.at(-1)?.name} is not closed`)
  return elements
}

function attributesIn(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(/(\w+)="([^"]*)"/g)) {
    if (name in found) throw new Error(`${name} is given twice`)
    found[name] = unescaped(value)
  }
  return found
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescaped(text: string): string {
  return text.replace(/&(?:#(\d+)|(\w+));|&/g, (_, code?: string, name?: string) => {
    const character = code ? String.fromCodePoint(Number(code)) : name && ENTITIES[name]
    if (!character) throw new Error('an ampersand that stands for nothing')
    return character
  })
}
