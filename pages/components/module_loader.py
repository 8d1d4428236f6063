"""How a component of ours gets its JavaScript modules.

Streamlit runs a component's script from a blob, which has no address to import others from; so this script goes to
our own server for the module that ``data["module"]`` names, and hands it the component.
"""

MODULE_LOADER = """export default async (component) => {
  const { default: mount } = await import(new URL(component.data.module, window.location.origin).href);
  return mount(component);
};"""
