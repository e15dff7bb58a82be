/** Starts the app. */
import { mount } from "svelte";
import App from "./App.svelte";
import "./tokens.css";
import "./base.css";
import { appearance } from "./lib/theme/theme.svelte";

appearance.start();
mount(App, { target: document.getElementById("app")! });
