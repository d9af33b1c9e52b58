/**
 * How the page of the API document looks: like the console, whose colours and theme it takes, with
 * a way back to it. Swagger UI draws it; a class switches on its own dark colours.
 */

/** The colours of the console (console/src/style.css), by the names that they have there. */
const colours = `
  --text: light-dark(#17212b, #dfe6ec);
  --soft: light-dark(#586673, #94a3b1);
  --page: light-dark(#f6f7f8, #11161b);
  --card: light-dark(#fff, #1a2128);
  --line: light-dark(#dde2e6, #2c3640);
  --accent: light-dark(#0b6b74, #58c4cf);
  --on-accent: light-dark(#fff, #06272b);
  --bad: light-dark(#b3261e, #ff8a80);
  --late: light-dark(#8a5700, #f2b75c);
  --good: light-dark(#1b6e3c, #74d398);
  --series-2: light-dark(#4b5fc1, #93a4ff);
  --mono: ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', monospace;`

/** `html[data-theme]` outweighs the rules of Swagger UI, also those of its dark mode. */
const style = `:root {${colours}
  color-scheme: light dark;
}
html[data-theme='light'] { color-scheme: light; }
html[data-theme='dark'] { color-scheme: dark; }
html[data-theme] body {
  margin: 0;
  background: var(--page);
  color: var(--text);
  font: 14px/1.5 system-ui, sans-serif;
}
.sluice-header {
  display: flex;
  gap: 8px;
  align-items: center;
  padding: 8px 16px;
  border-bottom: 1px solid var(--line);
  background: var(--card);
}
.sluice-header a {
  padding: 6px 8px;
  border-radius: 6px;
  color: var(--text);
  text-decoration: none;
}
.sluice-header a:hover { background: var(--page); }
.sluice-header a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.sluice-header .brand { font-size: 16px; font-weight: 700; }
.sluice-header [aria-current] { color: var(--accent); font-weight: 600; }
html[data-theme] .swagger-ui .topbar { display: none; }
html[data-theme] .swagger-ui { background: var(--page); color: var(--text); }
html[data-theme] .swagger-ui,
html[data-theme] .swagger-ui :is(
  p, li, h1, h2, h3, h4, h5, table, label, button, input, select, a, td, th, .title, .tab, .btn,
  .opblock-tag, .opblock-summary-description, .renderedMarkdown, .response-col_status,
  .opblock-description-wrapper, .opblock-external-docs-wrapper, .opblock-title_normal
) { font-family: system-ui, sans-serif; }
html[data-theme] .swagger-ui :is(
  code, pre, textarea, .opblock-summary-path, .opblock-summary-path a, .opblock-summary-method, .parameter__name,
  .parameter__type, .model, .model-title, .prop-type
) { font-family: var(--mono); }
html[data-theme] .swagger-ui :is(
  .info .title, .info p, .info li, .opblock-tag, .opblock-tag small, .opblock-summary-path,
  .opblock-summary-path a, h4, h5, td, th, label, .tab li, .parameter__name, .response-col_status,
  .response-col_links, .model, .model-title, .renderedMarkdown p, .opblock-section-header h4,
  .opblock-description-wrapper p, .btn, .servers-title, .responses-inner h4, .responses-inner h5,
  section.models h4
) { color: var(--text); }
html[data-theme] .swagger-ui :is(
  .opblock-summary-description, .parameter__type, .parameter__in, .parameter__deprecated, .prop-format,
  .prop-type, .info .base-url
) { color: var(--soft); }
html[data-theme] .swagger-ui .opblock-summary-path a { font-size: 14px; }
html[data-theme] .swagger-ui :is(.markdown, .renderedMarkdown) code {
  background: var(--line);
  color: var(--text);
  font-weight: 400;
}
html[data-theme] .swagger-ui :focus-visible { outline: 2px solid var(--accent); }
html[data-theme] .swagger-ui .info { margin: 24px 0; }
html[data-theme] .swagger-ui .info .title { font-size: 20px; font-weight: 600; }
html[data-theme] .swagger-ui .info .title small { background: var(--soft); }
html[data-theme] .swagger-ui .info .title small.version-stamp { background: var(--accent); }
html[data-theme] .swagger-ui .info .title small pre { color: var(--on-accent); }
html[data-theme] .swagger-ui :is(.info a, .link, .renderedMarkdown a) { color: var(--accent); }
html[data-theme] .swagger-ui .scheme-container {
  margin: 0 0 16px;
  padding: 12px 0;
  border-block: 1px solid var(--line);
  background: var(--card);
  box-shadow: none;
}
html[data-theme] .swagger-ui .opblock-tag {
  padding: 8px 0;
  border-bottom-color: var(--line);
  font-size: 16px;
}
html[data-theme] .swagger-ui .opblock[class] {
  margin: 0 0 8px;
  border: 1px solid var(--line);
  border-radius: 6px;
  background: var(--card);
  box-shadow: none;
}
html[data-theme] .swagger-ui .opblock[class] .opblock-summary { border-color: var(--line); }
html[data-theme] .swagger-ui .opblock .opblock-summary-method {
  min-width: 72px;
  border-radius: 4px;
  background: var(--series-2);
  color: var(--card);
  font-size: 12px;
  text-shadow: none;
}
html[data-theme] .swagger-ui .opblock.opblock-get .opblock-summary-method {
  background: var(--accent);
}
html[data-theme] .swagger-ui .opblock.opblock-post .opblock-summary-method {
  background: var(--good);
}
html[data-theme] .swagger-ui .opblock.opblock-put .opblock-summary-method,
html[data-theme] .swagger-ui .opblock.opblock-patch .opblock-summary-method {
  background: var(--late);
}
html[data-theme] .swagger-ui .opblock.opblock-delete .opblock-summary-method {
  background: var(--bad);
}
html[data-theme] .swagger-ui .opblock[class] .opblock-section-header,
html[data-theme] .swagger-ui section.models,
html[data-theme] .swagger-ui section.models .model-container,
html[data-theme] .swagger-ui .model-box {
  border-color: var(--line);
  background: var(--card);
  box-shadow: none;
}
html[data-theme] .swagger-ui .opblock[class] .tab-header .tab-item.active h4 span::after {
  background: var(--accent);
}
html[data-theme] .swagger-ui :is(input, select, textarea) {
  border: 1px solid var(--line);
  border-radius: 6px;
  background-color: var(--page);
  box-shadow: none;
  color: var(--text);
}
html[data-theme] .swagger-ui .btn {
  border: 1px solid var(--line);
  border-radius: 6px;
  background: var(--card);
  box-shadow: none;
}
html[data-theme] .swagger-ui .btn.authorize[class] { border-color: var(--accent); color: var(--accent); }
html[data-theme] .swagger-ui .btn.authorize[class] svg { fill: var(--accent); }
html[data-theme] .swagger-ui .btn.execute {
  border-color: var(--accent);
  background: var(--accent);
  color: var(--on-accent);
}
html[data-theme] .swagger-ui .wrapper { max-width: 1200px; padding: 0 16px; }
@media (max-width: 640px) {
  html[data-theme] .swagger-ui .opblock .opblock-summary { flex-wrap: wrap; }
  html[data-theme] .swagger-ui .opblock-summary-path { max-width: none; overflow-wrap: anywhere; }
  html[data-theme] .swagger-ui .opblock-summary-description { flex: 1 0 100%; padding-left: 8px; }
  html[data-theme] .swagger-ui .opblock-tag small { display: none; }
  html[data-theme] .swagger-ui :is(.table-container, .responses-wrapper, .opblock-body) {
    overflow-x: auto;
  }
}
`

/** Runs in the page, in browsers. The console keeps the theme that a person chose by this name. */
const script = `(() => {
  const root = document.documentElement
  let stored = null
  try {
    stored = localStorage.getItem('sluice-theme')
  } catch {}
  const system = matchMedia('(prefers-color-scheme: dark)')
  const apply = () => {
    const isDark = stored === 'dark' || (stored !== 'light' && system.matches)
    root.dataset.theme = isDark ? 'dark' : 'light'
    root.classList.toggle('dark-mode', isDark)
  }
  apply()
  system.addEventListener('change', apply)
  const viewport = document.createElement('meta')
  viewport.name = 'viewport'
  viewport.content = 'width=device-width, initial-scale=1'
  document.head.append(viewport)
  const header = document.createElement('header')
  header.className = 'sluice-header'
  const link = (text, href) => {
    const a = document.createElement('a')
    a.textContent = text
    a.href = href
    return a
  }
  const brand = link('Sluice', '/console/')
  brand.className = 'brand'
  const here = link('HTTP API', '')
  here.setAttribute('aria-current', 'page')
  const nav = document.createElement('nav')
  nav.append(link('Console', '/console/'), here)
  header.append(brand, nav)
  document.body.prepend(header)
})()
`

const icon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">' +
  '<rect width="32" height="32" rx="7" fill="#0b6b74"/>' +
  '<path d="M7 11c3 0 3 3 6 3s3-3 6-3 3 3 6 3M7 18c3 0 3 3 6 3s3-3 6-3 3 3 6 3" fill="none" ' +
  'stroke="#fff" stroke-width="2.6" stroke-linecap="round"/></svg>'

/** The theme of the page, for @fastify/swagger-ui. */
export const apiPageTheme = {
  title: 'Sluice: the HTTP API',
  css: [{ filename: 'sluice.css', content: style }],
  js: [{ filename: 'sluice.js', content: script }],
  favicon: [
    { filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: icon },
  ],
}
